import CLibcurl

/// A connection to one introspection endpoint, for one question after another. Used by one thread at a time.
///
/// Unsafe because libcurl's handles are pointers.
@safe struct IntrospectionTransfer: ~Copyable {
  /// The bytes of a response, up to the endpoint's maximum.
  private final class Body {
    var bytes: [UInt8] = []
    var isTooLong = false
    let bytesMax: Int

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    func append(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
      isTooLong = self.bytes.count + bytes.count > bytesMax
      if !isTooLong { unsafe self.bytes.append(contentsOf: bytes) }
      return !isTooLong
    }
  }

  private let easy: UnsafeMutableRawPointer
  private var fields: UnsafeMutablePointer<curl_slist>?
  private let body: Body

  init?(_ endpoint: IntrospectionEndpoint) {
    guard let easy = unsafe curl_easy_init() else { return nil }
    unsafe self.easy = easy
    body = Body(bytesMax: endpoint.bytesMax)
    unsafe fields = curl_slist_append(nil, "Accept: application/json")
    configure(endpoint)
  }

  deinit {
    unsafe curl_easy_cleanup(easy)
    unsafe curl_slist_free_all(fields)
  }

  private func configure(_ endpoint: IntrospectionEndpoint) {
    set(CURLOPT_URL, endpoint.url)
    set(CURLOPT_NOSIGNAL, 1)
    // Otherwise ending a transfer whose name resolution hangs waits for the resolver, whatever the timeout.
    set(CURLOPT_QUICK_EXIT, 1)
    set(CURLOPT_PROXY, "")
    set(CURLOPT_PROTOCOLS_STR, endpoint.url.hasPrefix("http:") ? "http" : "https")
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    // The secret and the token must go nowhere else.
    set(CURLOPT_FOLLOWLOCATION, 0)
    set(CURLOPT_TIMEOUT_MS, endpoint.timeoutMilliseconds)
    set(CURLOPT_CONNECTTIMEOUT_MS, endpoint.timeoutMilliseconds)
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    if let caBundle = endpoint.caBundle {
      unsafe caBundle.withUnsafeBytes {
        unsafe _ = curl_easy_set_blob(easy, CURLOPT_CAINFO_BLOB, $0.baseAddress, $0.count)
      }
      set(CURLOPT_CAPATH, nil)
    }
    set(CURLOPT_USERNAME, endpoint.user)
    set(CURLOPT_PASSWORD, endpoint.password)
    unsafe _ = curl_easy_set_pointer(easy, CURLOPT_HTTPHEADER, fields)
    unsafe _ = curl_easy_set_write_data(easy, Unmanaged.passUnretained(body).toOpaque())
    unsafe _ = curl_easy_set_write(easy) { bytes, size, count, body in
      guard let bytes = unsafe bytes, let body = unsafe body else { return 0 }
      return unsafe IntrospectionTransfer.append(bytes, size * count, to: body)
    }
  }

  private static func append(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int, to body: UnsafeMutableRawPointer)
    -> Int
  {
    let received = unsafe UnsafeBufferPointer(
      start: UnsafeRawPointer(bytes).assumingMemoryBound(to: UInt8.self), count: count)
    return unsafe Unmanaged<Body>.fromOpaque(body).takeUnretainedValue().append(received) ? count : 0
  }

  private func set(_ option: CURLoption, _ value: Int) { unsafe _ = curl_easy_set_long(easy, option, value) }

  private func set(_ option: CURLoption, _ value: String?) { unsafe _ = curl_easy_set_string(easy, option, value) }

  /// Sends a form and waits for the response.
  func post(_ form: String) -> IntrospectionReply {
    body.bytes = []
    body.isTooLong = false
    set(CURLOPT_COPYPOSTFIELDS, form)
    let result = unsafe curl_easy_perform(easy)
    guard !body.isTooLong else { return .failed("the answer is longer than \(body.bytesMax >> 10) KiB") }
    guard result == CURLE_OK else { return .failed(unsafe String(cString: curl_easy_strerror(result))) }
    var status = 0
    unsafe _ = curl_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
    return .answered(status: status, body: body.bytes)
  }
}
