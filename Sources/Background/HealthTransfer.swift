import CLibcurl
import Synchronization

/// Tells running transfers to end.
final class TransferStop: Sendable {
  private let flag = Atomic<Bool>(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }

  func set() { flag.store(true, ordering: .relaxed) }

  static func isSet(behind pointer: UnsafeMutableRawPointer?) -> Bool {
    guard let pointer = unsafe pointer else { return false }
    return unsafe Unmanaged<TransferStop>.fromOpaque(pointer).takeUnretainedValue().isSet
  }
}

/// One blocking `GET` with libcurl. The only unsafe code of this module: libcurl's handles are pointers.
@safe struct HealthTransfer: ~Copyable {
  private let easy: UnsafeMutableRawPointer
  private var connectTo: UnsafeMutablePointer<curl_slist>?
  /// libcurl has a pointer to it.
  private let stop: TransferStop

  /// - Parameter stop: ends the transfer within about a second.
  init?(_ endpoint: HealthEndpoint, _ stop: TransferStop) {
    guard let easy = unsafe curl_easy_init() else { return nil }
    unsafe self.easy = easy
    self.stop = stop
    if let connect = endpoint.connectTo { unsafe connectTo = curl_slist_append(nil, connect) }
    configure(endpoint)
  }

  deinit {
    unsafe curl_easy_cleanup(easy)
    unsafe curl_slist_free_all(connectTo)
  }

  private func configure(_ endpoint: HealthEndpoint) {
    set(CURLOPT_URL, endpoint.url)
    set(CURLOPT_NOSIGNAL, 1)
    // Otherwise ending a transfer whose name resolution hangs waits for the resolver, whatever the timeout.
    set(CURLOPT_QUICK_EXIT, 1)
    set(CURLOPT_PROXY, "")
    set(CURLOPT_PROTOCOLS_STR, "http,https")
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    set(CURLOPT_FOLLOWLOCATION, 0)
    set(CURLOPT_FAILONERROR, 1)
    set(CURLOPT_TIMEOUT_MS, endpoint.timeoutMilliseconds)
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    if let caBundle = endpoint.caBundle {
      set(CURLOPT_CAINFO_BLOB, pem: caBundle)
      set(CURLOPT_CAPATH, nil)
    }
    if let certificate = endpoint.certificate { set(CURLOPT_SSLCERT_BLOB, pem: certificate) }
    if let key = endpoint.key { set(CURLOPT_SSLKEY_BLOB, pem: key) }
    if unsafe connectTo != nil { unsafe _ = curl_easy_set_pointer(easy, CURLOPT_CONNECT_TO, connectTo) }
    unsafe _ = curl_easy_set_write(easy) { _, size, count, _ in size * count }
    // Called at least once a second; a result other than 0 ends the transfer (CURLOPT_XFERINFOFUNCTION(3)).
    unsafe _ = curl_easy_set_progress(
      easy, { stop, _, _, _, _ in unsafe TransferStop.isSet(behind: stop) ? 1 : 0 },
      Unmanaged.passUnretained(stop).toOpaque())
  }

  private func set(_ option: CURLoption, _ value: Int) { unsafe _ = curl_easy_set_long(easy, option, value) }

  private func set(_ option: CURLoption, _ value: String?) { unsafe _ = curl_easy_set_string(easy, option, value) }

  private func set(_ option: CURLoption, pem bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { unsafe _ = curl_easy_set_blob(easy, option, $0.baseAddress, $0.count) }
  }

  /// Returns whether a response with a status below 400 arrived in time.
  func perform() -> Bool { unsafe curl_easy_perform(easy) == CURLE_OK }
}
