import CLibcurl

/// A libcurl handle for blocking transfers, with what all of them have in common. Used by one thread at a time.
///
/// Unsafe because libcurl's handles are pointers.
@safe struct BlockingTransfer: ~Copyable {
  let easy: UnsafeMutableRawPointer
  /// libcurl has a pointer to it.
  private let transfers: BackgroundTransfers

  /// - Parameters:
  ///   - protocols: those that the URL may have, separated by commas.
  ///   - caBundle: PEM texts; nil: the system's trust.
  init?(
    url: String, protocols: String, timeoutMilliseconds: Int, caBundle: [UInt8]?, _ transfers: BackgroundTransfers
  ) {
    guard let easy = unsafe curl_easy_init() else { return nil }
    unsafe self.easy = easy
    self.transfers = transfers
    set(CURLOPT_URL, url)
    set(CURLOPT_NOSIGNAL, 1)
    // Otherwise ending a transfer whose name resolution hangs waits for the resolver, whatever the timeout.
    set(CURLOPT_QUICK_EXIT, 1)
    set(CURLOPT_PROXY, "")
    set(CURLOPT_PROTOCOLS_STR, protocols)
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    set(CURLOPT_FOLLOWLOCATION, 0)
    set(CURLOPT_TIMEOUT_MS, timeoutMilliseconds)
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    if let caBundle {
      set(CURLOPT_CAINFO_BLOB, pem: caBundle)
      set(CURLOPT_CAPATH, nil)
    }
    // Called at least once a second; a result other than 0 ends the transfer (CURLOPT_XFERINFOFUNCTION(3)).
    unsafe _ = curl_easy_set_progress(
      easy, { transfers, _, _, _, _ in unsafe BlockingTransfer.mustEnd(transfers) ? 1 : 0 },
      Unmanaged.passUnretained(transfers).toOpaque())
  }

  deinit {
    // At the end of the process the handle stays: closing its connection would use OpenSSL, too.
    guard transfers.begin() else { return }
    unsafe curl_easy_cleanup(easy)
    transfers.end()
  }

  private static func mustEnd(_ transfers: UnsafeMutableRawPointer?) -> Bool {
    guard let transfers = unsafe transfers else { return false }
    return unsafe Unmanaged<BackgroundTransfers>.fromOpaque(transfers).takeUnretainedValue().isStopping
  }

  func set(_ option: CURLoption, _ value: Int) { unsafe _ = curl_easy_set_long(easy, option, value) }

  func set(_ option: CURLoption, _ value: String?) { unsafe _ = curl_easy_set_string(easy, option, value) }

  func set(_ option: CURLoption, pem bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { unsafe _ = curl_easy_set_blob(easy, option, $0.baseAddress, $0.count) }
  }

  func perform() -> CURLcode {
    guard transfers.begin() else { return CURLE_ABORTED_BY_CALLBACK }
    defer { transfers.end() }
    return unsafe curl_easy_perform(easy)
  }
}
