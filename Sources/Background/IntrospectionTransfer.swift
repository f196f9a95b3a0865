import CLibcurl

/// A connection to one introspection endpoint, for one question after another. Used by one thread at a time.
///
/// Unsafe because libcurl's handles are pointers.
@safe struct IntrospectionTransfer: ~Copyable {
  private let transfer: BlockingTransfer
  private let fields: UnsafeMutablePointer<curl_slist>?
  private let body: TransferBody

  init?(_ endpoint: IntrospectionEndpoint, _ transfers: BackgroundTransfers) {
    // The secret and the token must go nowhere else.
    let scheme = endpoint.url.lowercased().hasPrefix("http:") ? "http" : "https"
    guard
      let transfer = BlockingTransfer(
        url: endpoint.url, protocols: scheme, timeoutMilliseconds: endpoint.timeoutMilliseconds,
        caBundle: endpoint.caBundle, transfers)
    else { return nil }
    let body = TransferBody(bytesMax: endpoint.bytesMax)
    unsafe fields = curl_slist_append(nil, "Accept: application/json")
    transfer.set(CURLOPT_USERNAME, endpoint.user)
    transfer.set(CURLOPT_PASSWORD, endpoint.password)
    unsafe _ = curl_easy_set_pointer(transfer.easy, CURLOPT_HTTPHEADER, fields)
    body.collect(from: transfer)
    self.body = body
    self.transfer = transfer
  }

  deinit { unsafe curl_slist_free_all(fields) }

  /// Sends a form and waits for the response.
  func post(_ form: String, _ timeoutMilliseconds: Int) -> IntrospectionReply {
    transfer.set(CURLOPT_TIMEOUT_MS, timeoutMilliseconds)
    transfer.set(CURLOPT_COPYPOSTFIELDS, form)
    switch body.perform(transfer) {
    case .answered(let status, let body): return .answered(status: status, body: body)
    case .failed(let message), .tooLong(let message): return .failed(message)
    }
  }
}
