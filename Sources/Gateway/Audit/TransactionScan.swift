import HTTP1

/// Finds out, from the response to a request about transactions, whether Core has executed it or only queued it.
///
/// Reads the top-level members `status` and `transaction_id` while the response is relayed. It holds no bytes of the
/// response but these two, and reads at most `bodyBytesMax` of it.
struct TransactionScan {
  enum Result {
    /// Core has executed it.
    case executed
    /// Core will execute it, or drop it.
    case queued
    /// The response does not say.
    case unclear
  }

  static let bodyBytesMax = 64 << 10
  private enum Member { case status, id, other }

  private var reader: BodyReader?
  private var depth = 0
  private var isInString = false
  private var isEscaped = false
  private var isValue = false
  private var member = Member.other
  /// The last string at the top level.
  private var text = Text()
  private var status = Text()
  private var id = Text()

  /// The value of `transaction_id`; empty if there is none.
  var transactionID: [UInt8] { id.isWhole ? (0..<id.count).map { id.bytes[$0] } : [] }

  var result: Result {
    guard status.isWhole, status.count > 0 else { return .unclear }
    // Core's words for a transaction, and the one for a batch with `run_async`.
    return status.has("QUEUED") || status.has("SCHEDULED") || status.has("processing") ? .queued : .executed
  }

  /// Reads what was received: the head and the beginning of the body, or a later part of it.
  mutating func read(_ received: Span<UInt8>, _ framing: BodyFraming, headCount: Int) {
    var offset = reader == nil ? headCount : 0
    var body = reader ?? BodyReader(framing)
    do throws(BodyFault) {
      while body.byteCount < Self.bodyBytesMax, let run = try body.next(received, &offset) {
        for index in run { read(received[index]) }
      }
    } catch {
      // The exchange finds the same fault.
    }
    reader = body
  }

  private mutating func read(_ byte: UInt8) {
    guard !isInString else { return readText(byte) }
    switch byte {
    case UInt8(ascii: "\""):
      isInString = true
      if depth == 1 { text = Text() }
    case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
    case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
    case UInt8(ascii: ":") where depth == 1: isValue = true
    case UInt8(ascii: ",") where depth == 1: (isValue, member) = (false, .other)
    default: break
    }
  }

  private mutating func readText(_ byte: UInt8) {
    switch byte {
    case _ where isEscaped: isEscaped = false
    case UInt8(ascii: "\\"):
      isEscaped = true
      text.isWhole = false
    case UInt8(ascii: "\""):
      isInString = false
      if depth == 1 { textEnded() }
    default: if depth == 1 { text.append(byte) }
    }
  }

  private mutating func textEnded() {
    switch (isValue, member) {
    case (false, _): member = text.has("status") ? .status : text.has("transaction_id") ? .id : .other
    case (true, .status): status = text
    case (true, .id): id = text
    case (true, .other): break
    }
  }

  /// A string in place.
  private struct Text {
    /// Longer names, ids and statuses are not Core's.
    private(set) var bytes = InlineArray<64, UInt8>(repeating: 0)
    private(set) var count = 0
    /// false: it is too long, or has an escape.
    var isWhole = true

    mutating func append(_ byte: UInt8) {
      guard count < bytes.count else { return isWhole = false }
      bytes[count] = byte
      count += 1
    }

    func has(_ other: String) -> Bool {
      let other = other.utf8Span.span
      guard isWhole, count == other.count else { return false }
      for index in 0..<count where bytes[index] != other[index] { return false }
      return true
    }
  }
}
