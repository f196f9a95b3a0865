import CLibcurl

/// One blocking `GET`.
@safe struct HealthTransfer: ~Copyable {
  private let transfer: BlockingTransfer
  private var connectTo: UnsafeMutablePointer<curl_slist>?

  init?(_ endpoint: HealthEndpoint, _ transfers: BackgroundTransfers) {
    guard
      let transfer = BlockingTransfer(
        url: endpoint.url, protocols: "http,https", timeoutMilliseconds: endpoint.timeoutMilliseconds,
        caBundle: endpoint.caBundle, transfers)
    else { return nil }
    transfer.set(CURLOPT_FAILONERROR, 1)
    if let certificate = endpoint.certificate { transfer.set(CURLOPT_SSLCERT_BLOB, pem: certificate) }
    if let key = endpoint.key { transfer.set(CURLOPT_SSLKEY_BLOB, pem: key) }
    if let connect = endpoint.connectTo {
      unsafe connectTo = curl_slist_append(nil, connect)
      unsafe _ = curl_easy_set_pointer(transfer.easy, CURLOPT_CONNECT_TO, connectTo)
    }
    unsafe _ = curl_easy_set_write(transfer.easy) { _, size, count, _ in size * count }
    self.transfer = transfer
  }

  deinit { unsafe curl_slist_free_all(connectTo) }

  /// Returns whether a response with a status below 400 arrived in time.
  func perform() -> Bool { transfer.perform() == CURLE_OK }
}
