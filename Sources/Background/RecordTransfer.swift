import CLibcurl

/// One blocking `GET` of a record of an instance.
///
/// Unsafe because libcurl's handles are pointers.
@safe struct RecordTransfer: ~Copyable {
  private let transfer: BlockingTransfer
  private let body: TransferBody
  private var fields: UnsafeMutablePointer<curl_slist>?
  private var connectTo: UnsafeMutablePointer<curl_slist>?

  init?(_ endpoint: RecordEndpoint, _ path: String, _ timeoutMilliseconds: Int, _ transfers: BackgroundTransfers) {
    // The key must go nowhere else.
    let scheme = endpoint.url.lowercased().hasPrefix("http:") ? "http" : "https"
    guard
      let transfer = BlockingTransfer(
        url: endpoint.url + path, protocols: scheme, timeoutMilliseconds: timeoutMilliseconds,
        caBundle: endpoint.caBundle, transfers)
    else { return nil }
    body = TransferBody(bytesMax: RecordEndpoint.bytesMax)
    transfer.set(CURLOPT_PATH_AS_IS, 1)
    if let certificate = endpoint.certificate { transfer.set(CURLOPT_SSLCERT_BLOB, pem: certificate) }
    if let key = endpoint.privateKey { transfer.set(CURLOPT_SSLKEY_BLOB, pem: key) }
    if let connect = endpoint.connectTo {
      unsafe connectTo = curl_slist_append(nil, connect)
      unsafe _ = curl_easy_set_pointer(transfer.easy, CURLOPT_CONNECT_TO, connectTo)
    }
    let key = String(decoding: endpoint.key, as: UTF8.self)
    for field in ["Host: \(endpoint.host)", "Accept: application/json", "X-Blnk-Key: \(key)"] {
      unsafe fields = curl_slist_append(fields, field)
    }
    unsafe _ = curl_easy_set_pointer(transfer.easy, CURLOPT_HTTPHEADER, fields)
    body.collect(from: transfer)
    self.transfer = transfer
  }

  deinit {
    unsafe curl_slist_free_all(fields)
    unsafe curl_slist_free_all(connectTo)
  }

  func get() -> RecordReply {
    switch body.perform(transfer) {
    case .answered(let status, let body): .answered(status: status, body: body)
    case .tooLong(let message): .unreadable(message)
    case .failed(let message): .failed(message)
    }
  }
}
