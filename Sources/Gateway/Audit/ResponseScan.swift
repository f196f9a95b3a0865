import HTTP1

/// Finds out from Core's response to a write what it has created and, of a transaction, whether it was executed or only queued.
///
/// Reads the response while it is relayed, and at most `bodyBytesMax` of it.
struct ResponseScan {
  enum Result {
    /// Core has executed it.
    case executed
    /// Core will execute it, or drop it.
    case queued
    /// The response does not say.
    case unclear
  }

  static let bodyBytesMax = 64 << 10

  private var reader: BodyReader
  let members: JSONMembers

  /// - Parameter members: unused so far.
  init(_ framing: BodyFraming, members: JSONMembers = JSONMembers()) {
    reader = BodyReader(framing)
    self.members = members
  }

  /// Of a transaction.
  var result: Result {
    guard let range = members.range(of: .status), !range.isEmpty else { return .unclear }
    let texts = members.texts
    let status = texts.span.extracting(range)
    // Core's words for a transaction, and the one for a batch with `run_async`.
    let isQueued = status.equals("QUEUED") || status.equals("SCHEDULED") || status.equals("processing")
    return isQueued ? .queued : .executed
  }

  /// Reads what was received.
  ///
  /// - Parameter offset: where the body begins or continues.
  @_optimize(speed)
  mutating func read(_ received: Span<UInt8>, from offset: Int) {
    var offset = offset
    do throws(BodyFault) {
      var rest = Self.bodyBytesMax - reader.byteCount
      while rest > 0, let run = try reader.next(received, &offset) {
        members.read(received.extracting(run.prefix(rest)))
        rest -= run.count
      }
    } catch {
      // The exchange finds the same fault.
    }
  }
}
