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

  private let transfer: BlockingTransfer
  private let fields: UnsafeMutablePointer<curl_slist>?
  private let body: Body

  init?(_ endpoint: IntrospectionEndpoint, _ transfers: BackgroundTransfers) {
    // The secret and the token must go nowhere else.
    let scheme = endpoint.url.hasPrefix("http:") ? "http" : "https"
    guard
      let transfer = BlockingTransfer(
        url: endpoint.url, protocols: scheme, timeoutMilliseconds: endpoint.timeoutMilliseconds,
        caBundle: endpoint.caBundle, transfers)
    else { return nil }
    let body = Body(bytesMax: endpoint.bytesMax)
    unsafe fields = curl_slist_append(nil, "Accept: application/json")
    transfer.set(CURLOPT_USERNAME, endpoint.user)
    transfer.set(CURLOPT_PASSWORD, endpoint.password)
    unsafe _ = curl_easy_set_pointer(transfer.easy, CURLOPT_HTTPHEADER, fields)
    unsafe _ = curl_easy_set_write_data(transfer.easy, Unmanaged.passUnretained(body).toOpaque())
    unsafe _ = curl_easy_set_write(transfer.easy) { bytes, size, count, body in
      guard let bytes = unsafe bytes, let body = unsafe body else { return 0 }
      return unsafe IntrospectionTransfer.append(bytes, size * count, to: body)
    }
    self.body = body
    self.transfer = transfer
  }

  deinit { unsafe curl_slist_free_all(fields) }

  private static func append(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int, to body: UnsafeMutableRawPointer)
    -> Int
  {
    let received = unsafe UnsafeBufferPointer(
      start: UnsafeRawPointer(bytes).assumingMemoryBound(to: UInt8.self), count: count)
    return unsafe Unmanaged<Body>.fromOpaque(body).takeUnretainedValue().append(received) ? count : 0
  }

  /// Sends a form and waits for the response.
  func post(_ form: String) -> IntrospectionReply {
    body.bytes = []
    body.isTooLong = false
    transfer.set(CURLOPT_COPYPOSTFIELDS, form)
    let result = transfer.perform()
    guard !body.isTooLong else { return .failed("the answer is longer than \(body.bytesMax >> 10) KiB") }
    guard result == CURLE_OK else { return .failed(unsafe String(cString: curl_easy_strerror(result))) }
    var status = 0
    unsafe _ = curl_easy_get_long(transfer.easy, CURLINFO_RESPONSE_CODE, &status)
    return .answered(status: status, body: body.bytes)
  }
}
