import Bytes
import CLibcurl
import Glibc
import Reactor
import System

/// Initializes libcurl. Call it once, before any thread uses libcurl
/// (<https://curl.se/libcurl/c/curl_global_init.html>).
package func startLibcurl() {
  let result = curl_global_init(Int(CURL_GLOBAL_DEFAULT))
  precondition(result == CURLE_OK, "libcurl failed to initialize: \(result.rawValue)")
}

/// One connection that libcurl has made: with a private multi that has a single CONNECT_ONLY handle.
///
/// Private, because a shared multi closes CONNECT_ONLY connections older than MAXAGE_CONN while they are in use.
/// libcurl resolves, connects and does TLS; the gateway decides what is sent, and sends it once
/// (<https://curl.se/libcurl/c/CURLOPT_CONNECT_ONLY.html>).
@safe final class CurlHandle: Link {
  /// Lets one read over TLS return much of a large body. libcurl's default stops a read at 16 KiB.
  private static let readBytesMax = 256 * 1024
  /// While it connects, libcurl allocates a buffer of this size, which CONNECT_ONLY never fills; this is the least it takes.
  private static let connectBytesMax = 1_024
  /// The system's trust store as a folder of hashed names: the bundle file would be parsed for each connection.
  private static let systemTrust = "/etc/ssl/certs"

  private let isSecure: Bool
  /// nil: a connection without TLS needs only its socket. libcurl's handles would take 17 KB for each.
  private var multi: UnsafeMutableRawPointer?
  private var easy: UnsafeMutableRawPointer?
  private let errorText: UnsafeMutablePointer<CChar>
  /// The socket that libcurl must not close; else -1.
  private let keptSocket: UnsafeMutablePointer<curl_socket_t>
  /// The connected socket, once there are no handles.
  private var plainSocket: FileDescriptor?
  private var connectTo: UnsafeMutablePointer<curl_slist>?
  /// How long libcurl keeps a resolved name: longer than the pool does, because the pool decides when to resolve again.
  private let nameCacheSeconds: Int
  private(set) var failure: String?
  /// Never reset: after a fatal alert, OpenSSL reports the same end as after a close_notify.
  private var receiveFailed = false

  init?(_ settings: UpstreamSettings, names: NameCache) {
    guard let multi = unsafe curl_multi_init() else { return nil }
    guard let easy = unsafe curl_easy_init() else {
      unsafe curl_multi_cleanup(multi)
      return nil
    }
    isSecure = settings.isSecure
    unsafe self.multi = multi
    unsafe self.easy = easy
    unsafe keptSocket = UnsafeMutablePointer.allocate(capacity: 1)
    unsafe keptSocket.initialize(to: CURL_SOCKET_BAD)
    nameCacheSeconds = Int(settings.nameCacheMilliseconds / 1_000) + 2
    unsafe errorText = UnsafeMutablePointer.allocate(capacity: Int(CURL_ERROR_SIZE))
    unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    if let entry = settings.connectTo { unsafe connectTo = curl_slist_append(nil, entry) }
    configure(settings, names)
  }

  deinit {
    endHandles()
    unsafe errorText.deallocate()
    unsafe keptSocket.deallocate()
  }

  private func endHandles() {
    guard let easy = unsafe easy else { return }
    unsafe curl_multi_remove_handle(multi, easy)
    unsafe curl_easy_cleanup(easy)
    unsafe curl_multi_cleanup(multi)
    unsafe curl_slist_free_all(connectTo)
    unsafe (self.easy, multi, connectTo) = (nil, nil, nil)
  }

  private func configure(_ settings: UpstreamSettings, _ names: NameCache) {
    set(CURLOPT_URL, settings.url)
    set(CURLOPT_CONNECT_ONLY, 1)
    // Otherwise a hung name resolution blocks the loop in curl_multi_remove_handle.
    set(CURLOPT_QUICK_EXIT, 1)
    set(CURLOPT_NOSIGNAL, 1)
    // Otherwise ALPN picks h2, and the response is HTTP/2.
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    set(CURLOPT_PROXY, "")
    set(CURLOPT_PROTOCOLS_STR, "http,https")
    set(CURLOPT_TCP_NODELAY, 1)
    // The loop enforces this timeout itself; libcurl divides it among the addresses of a name. With libcurl's default
    // of 300 s, an address that never responds would block those behind it.
    set(CURLOPT_CONNECTTIMEOUT_MS, Int(settings.connectMilliseconds))
    set(CURLOPT_BUFFERSIZE, Self.connectBytesMax)
    unsafe _ = curl_easy_set_pointer(easy, CURLOPT_SHARE, names.share)
    unsafe _ = curl_easy_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
    if unsafe connectTo != nil { unsafe _ = curl_easy_set_pointer(easy, CURLOPT_CONNECT_TO, connectTo) }
    if settings.isSecure { configureTLS(settings.tls) }
  }

  private func configureTLS(_ tls: UpstreamSettings.TLS) {
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    set(CURLOPT_SSL_VERIFYPEER, 1)
    set(CURLOPT_SSL_VERIFYHOST, 2)
    // Unset explicitly, or libcurl also reads its default bundle.
    set(CURLOPT_CAINFO, nil)
    set(CURLOPT_CAPATH, tls.caBundle == nil ? Self.systemTrust : nil)
    set(CURLOPT_CAINFO_BLOB, pem: tls.caBundle)
    set(CURLOPT_SSLCERT_BLOB, pem: tls.certificate)
    set(CURLOPT_SSLKEY_BLOB, pem: tls.key)
  }

  /// Sets a PEM text, which libcurl copies (<https://curl.se/libcurl/c/CURLOPT_CAINFO_BLOB.html>).
  private func set(_ option: CURLoption, pem bytes: [UInt8]?) {
    guard let bytes else { return }
    let result = unsafe bytes.withUnsafeBytes { unsafe curl_easy_set_blob(easy, option, $0.baseAddress, $0.count) }
    precondition(result == CURLE_OK, "libcurl rejected option \(option.rawValue)")
  }

  private func set(_ option: CURLoption, _ value: Int) {
    let result = unsafe curl_easy_set_long(easy, option, value)
    precondition(result == CURLE_OK, "libcurl rejected option \(option.rawValue)")
  }

  /// Sets a string, which libcurl copies; nil restores libcurl's default.
  private func set(_ option: CURLoption, _ value: String?) {
    let result = unsafe curl_easy_set_string(easy, option, value)
    precondition(result == CURLE_OK, "libcurl rejected option \(option.rawValue)")
  }

  // MARK: Connecting

  func begin(for owner: UpstreamConnection) {
    set(CURLOPT_DNS_CACHE_TIMEOUT, owner.bypassesNameCache ? 0 : nameCacheSeconds)
    let owner = unsafe Unmanaged.passUnretained(owner).toOpaque()
    unsafe _ = curl_easy_set_pointer(easy, CURLOPT_OPENSOCKETDATA, owner)
    unsafe _ = curl_easy_set_opensocket(easy, onOpenSocket)
    if !isSecure {
      unsafe _ = curl_easy_set_pointer(easy, CURLOPT_CLOSESOCKETDATA, keptSocket)
      unsafe _ = curl_easy_set_closesocket(easy, onCloseSocket)
    }
    unsafe _ = curl_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, owner)
    unsafe _ = curl_multi_set_pointer(multi, CURLMOPT_TIMERDATA, owner)
    unsafe _ = curl_multi_set_socket(multi, onSocketChange)
    unsafe _ = curl_multi_set_timer(multi, onTimerChange)
    unsafe curl_multi_add_handle(multi, easy)
  }

  func drive(_ socket: Int32, _ ready: Int32) -> LinkOutcome? {
    var running: Int32 = 0
    unsafe curl_multi_socket_action(multi, socket, ready, &running)
    return prepared(outcome)
  }

  func driveAll() -> LinkOutcome? {
    var running: Int32 = 0
    unsafe curl_multi_run_all(multi, &running)
    return prepared(outcome)
  }

  /// Prepares a connection for use.
  private func prepared(_ outcome: LinkOutcome?) -> LinkOutcome? {
    guard case .connected = outcome else { return outcome }
    if isSecure {
      set(CURLOPT_BUFFERSIZE, Self.readBytesMax)
    } else if let socket = activeSocket {
      unsafe keptSocket.pointee = socket
      endHandles()
      plainSocket = FileDescriptor(owning: socket)
    }
    return outcome
  }

  /// Restores the cache timeout: with 0, libcurl would drop all names of the loop when this connect ends.
  func nameWasResolved() { set(CURLOPT_DNS_CACHE_TIMEOUT, nameCacheSeconds) }

  private var outcome: LinkOutcome? {
    let result = unsafe curl_multi_take_result(multi)
    guard result >= 0 else { return nil }
    let code = CURLcode(rawValue: UInt32(result))
    return code == CURLE_OK ? .connected : .failed(ConnectFault.kind(of: code), describe(code))
  }

  /// <https://curl.se/libcurl/c/CURLINFO_ACTIVESOCKET.html>
  var activeSocket: Int32? {
    if let number = plainSocket?.number { return number }
    var socket = CURL_SOCKET_BAD
    guard unsafe curl_easy_get_socket(easy, &socket) == CURLE_OK, socket != CURL_SOCKET_BAD else { return nil }
    return socket
  }

  private func describe(_ code: CURLcode) -> String {
    let text = unsafe String(cString: errorText)
    return text.isEmpty ? unsafe String(cString: curl_easy_strerror(code)) : text
  }

  // MARK: Bytes, over TLS

  /// libcurl 7 on OpenSSL reads one record at a time. Later versions read ahead: 8.1 in the socket layer, 8.15 in
  /// OpenSSL (<https://github.com/curl/curl/pull/17548>).
  var readsAhead: Bool { Self.isReadingAhead }

  private static let isReadingAhead: Bool = {
    guard let version = unsafe curl_version_info(CURLVERSION_FIRST), let library = unsafe version.pointee.ssl_version
    else { return true }
    let major = unsafe version.pointee.version_num >> 16
    return unsafe major > 7 || !String(cString: library).hasPrefix("OpenSSL/")
  }()

  /// <https://curl.se/libcurl/c/curl_easy_recv.html>
  func receive(into buffer: ByteBuffer) -> Transfer {
    guard !receiveFailed, let easy = unsafe easy else { return .failed(Errno(EPROTO)) }
    var received = 0
    let code = unsafe curl_easy_recv(easy, buffer.address(at: buffer.count), buffer.freeCapacity, &received)
    switch code {
    case CURLE_OK where received > 0:
      buffer.didReceive(received)
      return .bytes(received)
    case CURLE_OK where unsafe CloseNotify.wasReceived(on: easy): return .ended
    case CURLE_OK: return receiveFailed(with: "TLS ended without close_notify")
    case CURLE_AGAIN: return .wouldBlock
    default: return receiveFailed(with: describe(code))
    }
  }

  private func receiveFailed(with text: String) -> Transfer {
    receiveFailed = true
    failure = text
    return .failed(Errno(EPROTO))
  }

  /// <https://curl.se/libcurl/c/curl_easy_send.html>
  func send(_ buffer: ByteBuffer, _ range: Range<Int>) -> Transfer {
    var sent = 0
    let code = unsafe curl_easy_send(easy, buffer.address(at: range.lowerBound), range.count, &sent)
    switch code {
    case CURLE_OK: return .bytes(sent)
    case CURLE_AGAIN: return .wouldBlock
    default:
      failure = describe(code)
      return .failed(Errno(EPROTO))
    }
  }
}

// libcurl's callbacks: recover the connection, call a method, return.

private let onOpenSocket: curl_opensocket_callback = { owner, _, address in
  guard let owner = unsafe owner, let address = unsafe address else { return CURL_SOCKET_BAD }
  let connection = unsafe Unmanaged<UpstreamConnection>.fromOpaque(owner).takeUnretainedValue()
  let (family, type, proto) = unsafe (address.pointee.family, address.pointee.socktype, address.pointee.protocol)
  return unsafe connection.openSocket(family, type, proto, socketAddress(address))
}

private let onCloseSocket: curl_closesocket_callback = { kept, socket in
  guard let kept = unsafe kept?.assumingMemoryBound(to: curl_socket_t.self) else { return close(socket) }
  return unsafe socket == kept.pointee ? 0 : close(socket)
}

/// Reads the whole address: libcurl's type declares only its beginning (lib/sockaddr.h, Curl_sockaddr_ex).
private func socketAddress(_ address: UnsafeMutablePointer<curl_sockaddr>) -> SocketAddress? {
  guard let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return nil }
  let bytes = unsafe UnsafeRawBufferPointer(
    start: UnsafeRawPointer(address) + offset, count: Int(address.pointee.addrlen))
  return unsafe SocketAddress(bytes: bytes)
}

private let onSocketChange: curl_socket_callback = { _, socket, what, owner, _ in
  guard let owner = unsafe owner else { return 0 }
  unsafe Unmanaged<UpstreamConnection>.fromOpaque(owner).takeUnretainedValue().watch(socket, what)
  return 0
}

private let onTimerChange: curl_multi_timer_callback = { _, milliseconds, owner in
  guard let owner = unsafe owner else { return 0 }
  unsafe Unmanaged<UpstreamConnection>.fromOpaque(owner).takeUnretainedValue().setTimer(after: milliseconds)
  return 0
}
