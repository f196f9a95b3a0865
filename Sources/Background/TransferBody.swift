import CLibcurl

/// The body of a transfer's response, up to a maximum.
///
/// Unsafe because libcurl's handles are pointers.
final class TransferBody {
  private var bytes: [UInt8] = []
  private var isTooLong = false
  private let bytesMax: Int

  init(bytesMax: Int) { self.bytesMax = bytesMax }

  /// Makes the transfer, which must not outlive this object, store its response here.
  func collect(from transfer: borrowing BlockingTransfer) {
    unsafe _ = curl_easy_set_write_data(transfer.easy, Unmanaged.passUnretained(self).toOpaque())
    unsafe _ = curl_easy_set_write(transfer.easy) { bytes, size, count, body in
      guard let bytes = unsafe bytes, let body = unsafe body else { return 0 }
      return unsafe TransferBody.append(bytes, size * count, to: body)
    }
  }

  private static func append(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int, to body: UnsafeMutableRawPointer)
    -> Int
  {
    let received = unsafe UnsafeBufferPointer(
      start: UnsafeRawPointer(bytes).assumingMemoryBound(to: UInt8.self), count: count)
    return unsafe Unmanaged<TransferBody>.fromOpaque(body).takeUnretainedValue().append(received) ? count : 0
  }

  private func append(_ received: UnsafeBufferPointer<UInt8>) -> Bool {
    isTooLong = bytes.count + received.count > bytesMax
    if !isTooLong { unsafe bytes.append(contentsOf: received) }
    return !isTooLong
  }

  enum Result {
    case answered(status: Int, body: [UInt8])
    /// The server has answered, at greater length.
    case tooLong(String)
    /// libcurl's message, or another that names no secret.
    case failed(String)
  }

  /// Performs the transfer.
  func perform(_ transfer: borrowing BlockingTransfer) -> Result {
    bytes = []
    isTooLong = false
    let code = transfer.perform()
    guard !isTooLong else { return .tooLong("the answer is longer than \(bytesMax >> 10) KiB") }
    guard code == CURLE_OK else { return .failed(unsafe String(cString: curl_easy_strerror(code))) }
    var status = 0
    unsafe _ = curl_easy_get_long(transfer.easy, CURLINFO_RESPONSE_CODE, &status)
    return .answered(status: status, body: bytes)
  }
}
