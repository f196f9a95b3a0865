import Bytes
import HTTP1
import Policies
import Reactor
import Upstream

/// A response on its way to the client: Core's, read and written on, or the gateway's own.
///
/// Belongs to one exchange, and is used again with it.
final class ResponseRelay {
  /// What came of writing to the client.
  enum Flush {
    case done, blocked, failed
  }

  private(set) var parser = ResponseHeadParser(limits: .answers)
  private(set) var body = ResponseBody(.none, client: .http11)
  /// Whether any byte came from Core.
  private(set) var hasBytes = false
  /// Bytes written to the client.
  private(set) var sentCount = 0
  /// What Core sends: its head until it is whole, then what was read of the body.
  private let buffer: ByteBuffer
  private var offset = 0
  /// What goes to the client, the gateway's own words too: first the rest of `output`, then the run `direct` of `buffer`.
  let output: ByteBuffer
  private var outputSent = 0
  private var direct = 0..<0

  /// - Parameter buffers: where it has room from, while an answer is under way.
  init(buffers: BufferPool) {
    buffer = ByteBuffer(from: buffers)
    output = ByteBuffer(from: buffers)
  }

  // MARK: Reading

  /// Reads what Core has sent: what the buffer held of the body was sent, what it holds of a head stays.
  func receive(from upstream: UpstreamConnection, isRelaying: Bool) -> Transfer {
    if isRelaying {
      if (body.remaining ?? 0) > Self.largeBytes { buffer.takeLargeStorage() }
      buffer.removeAll()
      offset = 0
    }
    // The parser refuses a head beyond its bounds long before this grows large.
    buffer.reserve(1)
    let transfer = upstream.receive(into: buffer)
    if case .bytes = transfer { hasBytes = true }
    return transfer
  }

  /// Reads heads until the final one; false while it is not whole.
  func readHead(answering method: Method) throws(ResponseFault) -> Bool {
    while true {
      guard try buffer.withBytes({ bytes throws(ResponseFault) in try parser.parse(bytes, answering: method) }) else {
        return false
      }
      guard parser.head.isInterim else { return true }
      // RFC 9110 §15.2: a proxy may drop them; the client asked for none but 100, which it has had.
      buffer.remove(0..<parser.head.byteCount)
      parser.reset()
      if buffer.isEmpty { return false }
    }
  }

  /// What a 401 of Core says about the gateway's key, once enough of its body has come to tell.
  enum KeyRefusal {
    case undecided, refused, somethingElse
  }

  /// Core knows no other credentials than its key, and says so in a short body.
  func keyRefusal(answering method: Method) -> KeyRefusal {
    guard parser.head.status == 401 else { return .somethingElse }
    // No body tells which, but Core has no other 401.
    if method.isHead { return .refused }
    guard case .length(let count) = parser.head.framing, count <= Self.keyRefusalBytesMax else {
      return .somethingElse
    }
    guard buffer.count >= parser.head.byteCount + count else { return .undecided }
    let isRefusal = buffer.withBytes(from: parser.head.byteCount) { body in
      body.contains("\"AUTH_MISSING_API_KEY\"") || body.contains("\"AUTH_INVALID_API_KEY\"")
    }
    return isRefusal ? .refused : .somethingElse
  }

  private static let keyRefusalBytesMax = 2_048

  /// How long Core says that it keeps the connection.
  var keepAliveSeconds: Int? {
    guard parser.head.has(.keepAlive) else { return nil }
    for index in parser.head.fields.indices {
      guard case .keepAlive = parser.head.fields[index].kind else { continue }
      return buffer.withBytes { bytes in keepAliveTimeout(bytes, parser.head.fields[index].value) }
    }
    return nil
  }

  /// Turns to the body, framed for the client.
  func beginBody(client version: Version) {
    body = ResponseBody(parser.head.framing, client: version)
    offset = parser.head.byteCount
  }

  /// Writes the head for the client in front of what follows.
  func write(_ head: DownstreamHead, _ access: InstanceAccess, _ form: Addressing.Form, by worker: Worker) {
    buffer.withBytes { bytes in head.write(parser.head, bytes, access, form, by: worker, to: output) }
  }

  /// Passes on what was read of the body.
  func relayBody() throws(ChunkFault) {
    direct = try buffer.withBytes { bytes throws(ChunkFault) in try body.relay(bytes, &offset, to: output) }
    // One piece costs the system less than two, which is more than what copying a small body costs.
    guard direct.count <= Self.copiedBytesMax, direct.count <= output.freeCapacity else { return }
    buffer.withBytes { bytes in output.append(bytes, direct) }
    direct = 0..<0
  }

  /// Core has closed the connection; true where that ends the body.
  func upstreamEnded() -> Bool { body.upstreamEnded(output: output) }

  /// Whether Core sent nothing behind its answer.
  var isExact: Bool { offset == buffer.count }

  /// Forgets what a failed try has brought.
  func restart() {
    buffer.removeAll()
    offset = 0
    hasBytes = false
    parser.reset()
  }

  // MARK: Writing

  /// Whether something waits for the client.
  var isWaiting: Bool { waiting > 0 || !direct.isEmpty }

  /// Writes all that waits for the client, as far as it takes it.
  ///
  /// - Parameter isLast: the connection ends behind it.
  func flush(to socket: borrowing Socket, isLast: Bool) -> Flush {
    while isWaiting {
      switch send(to: socket, isLast: isLast) {
      case .bytes(let count):
        sentCount += count
        let fromOutput = min(count, waiting)
        outputSent += fromOutput
        direct = direct.lowerBound + (count - fromOutput)..<direct.upperBound
      case .wouldBlock: return .blocked
      case .ended, .failed: return .failed
      }
    }
    discard()
    return .done
  }

  /// Drops what waits: the client is gone.
  func discard() {
    output.removeAll()
    outputSent = 0
    direct = 0..<0
  }

  private var waiting: Int { output.count - outputSent }

  private func send(to socket: borrowing Socket, isLast: Bool) -> Transfer {
    guard !direct.isEmpty else { return socket.send(output, outputSent..<output.count, isLast: isLast) }
    guard waiting > 0 else { return socket.send(buffer, direct, isLast: isLast) }
    return socket.send(output, from: outputSent, then: buffer, direct, isLast: isLast)
  }

  // MARK: Reuse

  /// Gives its room back, and is ready for the next answer.
  func reset() {
    buffer.giveBack()
    output.giveBack()
    outputSent = 0
    direct = 0..<0
    offset = 0
    hasBytes = false
    sentCount = 0
    body = ResponseBody(.none, client: .http11)
    parser.reset()
  }

  /// A run of at most this is copied behind the head.
  private static let copiedBytesMax = 4 << 10
  /// An answer with more than this to come is read in larger pieces.
  private static let largeBytes = 64 << 10
}

extension Span<UInt8> {
  fileprivate func contains(_ text: String) -> Bool {
    let wanted = Array(text.utf8)
    guard count >= wanted.count else { return false }
    return (0...(count - wanted.count)).contains { start in
      wanted.indices.allSatisfy { self[start + $0] == wanted[$0] }
    }
  }
}
