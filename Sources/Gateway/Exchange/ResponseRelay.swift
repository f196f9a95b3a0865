import Bytes
import HTTP1
import Policies
import Reactor
import Upstream

/// Relays a response downstream: Core's, or a local reply.
///
/// Belongs to one exchange, and is reused with it.
final class ResponseRelay {
  /// The result of writing downstream.
  enum FlushProgress {
    case done, blocked, failed
  }

  private(set) var parser = ResponseHeadParser(limits: .responses)
  private(set) var body = ResponseBody(.none, downstream: .http11)
  /// Whether any byte has arrived from Core.
  private(set) var hasBytes = false
  /// Bytes written downstream.
  private(set) var sentCount = 0
  /// Bytes from Core: the head until it is complete, then the last read of the body.
  private let buffer: ByteBuffer
  private var offset = 0
  /// Bytes to send downstream, also of a local reply: first the rest of `output`, then the range `direct` of `buffer`.
  let output: ByteBuffer
  private var outputSent = 0
  private var direct = 0..<0
  /// The body, if the journal keeps it.
  private var kept: KeptBody?
  /// The write that reads the response, too; nil if it is not audited.
  private var reading: AuditedWrite?

  /// - Parameter buffers: provides the storage while a response is in flight.
  init(buffers: BufferPool) {
    buffer = ByteBuffer(from: buffers)
    output = ByteBuffer(from: buffers)
  }

  // MARK: Reading

  /// Reads from Core. Keeps an incomplete head in the buffer; drops body bytes, which were sent.
  @_optimize(speed)
  func receive(from upstream: UpstreamConnection, isRelaying: Bool) -> Transfer {
    if isRelaying {
      readForAudit()
      if (body.remaining ?? 0) > Self.largeBytes { buffer.takeLargeStorage() }
      buffer.removeAll()
      offset = 0
    }
    // The parser rejects an oversized head long before `reserve` could fail.
    buffer.reserve(1)
    let transfer = upstream.receive(into: buffer)
    if case .bytes = transfer { hasBytes = true }
    return transfer
  }

  /// Parses heads up to the final one; false while it is incomplete.
  @_optimize(speed)
  func readHead(answering method: Method) throws(ResponseFault) -> Bool {
    while true {
      guard try buffer.withBytes({ bytes throws(ResponseFault) in try parser.parse(bytes, answering: method) }) else {
        return false
      }
      guard parser.head.isInterim else { return true }
      // RFC 9110 §15.2: a proxy may drop interim responses. The only one that a client may be waiting for is 100, and
      // the gateway sends that itself.
      buffer.remove(0..<parser.head.byteCount)
      parser.reset()
      if buffer.isEmpty { return false }
    }
  }

  /// Whether a response refuses the gateway's key; undecided until enough of the body has arrived.
  enum KeyRefusal {
    case undecided, refused, somethingElse
  }

  /// Core has no credentials except the key, and refuses it with a 401 and a short body.
  func keyRefusal(answering method: Method) -> KeyRefusal {
    guard parser.head.status == 401 else { return .somethingElse }
    // There is no body to check, but Core has no other 401.
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

  /// How long Core keeps the idle connection, as its `Keep-Alive` says.
  var keepAliveSeconds: Int? {
    guard parser.head.has(.keepAlive) else { return nil }
    for index in parser.head.fields.indices {
      guard case .keepAlive = parser.head.fields[index].kind else { continue }
      return buffer.withBytes { bytes in keepAliveTimeout(bytes, parser.head.fields[index].value) }
    }
    return nil
  }

  /// Starts the body, with the framing for the downstream HTTP version.
  func beginBody(downstream version: Version) {
    body = ResponseBody(parser.head.framing, downstream: version)
    offset = parser.head.byteCount
  }

  /// Writes the head.
  @_optimize(speed)
  func write(_ head: DownstreamHeadWriter, _ access: InstanceAccess, _ form: Addressing.Form, by worker: Worker) {
    buffer.withBytes { bytes in head.write(parser.head, bytes, access, form, by: worker, to: output) }
  }

  /// Relays the part of the body in the buffer.
  @_optimize(speed)
  func relayBody() throws(ChunkFault) {
    direct = try buffer.withBytes { bytes throws(ChunkFault) in try body.relay(bytes, &offset, to: output) }
    // Copying a small body costs less than a second iovec in the system call.
    guard direct.count <= Self.copiedBytesMax, direct.count <= output.freeCapacity else { return }
    buffer.withBytes { bytes in output.append(bytes, direct) }
    direct = 0..<0
  }

  /// Handles the end of the upstream connection; true if it completes the body.
  func upstreamClosed() -> Bool { body.upstreamClosed(output: output) }

  /// Whether Core has sent nothing after the response.
  var hasNoTrailingBytes: Bool { offset == buffer.count }

  /// Drops what a failed try has received.
  func restart() {
    buffer.removeAll()
    offset = 0
    hasBytes = false
    parser.reset()
  }

  // MARK: Auditing

  /// Lets a write read a 2xx response, until `endReading`.
  func beginReading(for write: AuditedWrite) { reading = write }

  /// Lets it read the last part.
  func endReading() {
    readForAudit()
    reading = nil
  }

  @inline(__always)
  private func readForAudit() {
    if reading != nil, (200..<300).contains(parser.head.status) { readSuccessForAudit() }
  }

  @inline(never)
  @_optimize(speed)
  private func readSuccessForAudit() {
    guard let write = reading else { return }
    buffer.withBytes { bytes in
      if write.hasReadNothing, bodyIsEncoded(bytes) { return reading = nil }
      write.read(bytes, parser.head.framing, headCount: parser.head.byteCount)
    }
  }

  /// Whether `Content-Encoding` says that the body is not what Core has written.
  @inline(__always)
  private func bodyIsEncoded(_ head: Span<UInt8>) -> Bool {
    let name = "content-encoding"
    for index in parser.head.fields.indices where parser.head.fields[index].name.count == name.utf8.count {
      let field = parser.head.fields[index]
      if head.has(anyCaseOf: name, at: field.name), !head.has(anyCaseOf: "identity", at: field.value) { return true }
    }
    return false
  }

  // MARK: Keeping

  /// Starts to keep the body. What is received stays in the buffer, to be relayed later.
  func beginKeeping(bytesMax: Int) {
    kept = KeptBody(parser.head.framing, from: parser.head.byteCount, bytesMax: bytesMax)
  }

  /// Reads what has been received; true once the body is complete, or too large to keep.
  func keepReceived() throws(ChunkFault) -> Bool {
    try buffer.withBytes { bytes throws(ChunkFault) in try kept?.read(bytes) ?? true }
  }

  /// Handles the end of the upstream connection; true if it completes the body.
  func keptInputEnded() -> Bool { kept?.inputEnded() ?? false }

  /// The body; nil if it is too large to keep.
  var keptBody: [UInt8]? { kept?.body }

  /// The fields that a replay repeats.
  func keptFields(_ access: InstanceAccess, _ form: Addressing.Form) -> [UInt8] {
    buffer.withBytes { bytes in KeptFields.lines(of: parser.head, bytes, access, form) }
  }

  // MARK: Writing

  /// Whether bytes are waiting to be written downstream.
  @inline(__always)
  var isWaiting: Bool { waiting > 0 || !direct.isEmpty }

  /// Writes waiting bytes until all are written or the socket is full.
  ///
  /// - Parameter isLast: whether the connection ends after them.
  @_optimize(speed)
  func flush(to socket: borrowing Socket, isLast: Bool) -> FlushProgress {
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

  /// Drops waiting bytes, after downstream has closed.
  func discard() {
    output.removeAll()
    outputSent = 0
    direct = 0..<0
  }

  @inline(__always)
  private var waiting: Int { output.count - outputSent }

  @_optimize(speed)
  private func send(to socket: borrowing Socket, isLast: Bool) -> Transfer {
    guard !direct.isEmpty else { return socket.send(output, outputSent..<output.count, isLast: isLast) }
    guard waiting > 0 else { return socket.send(buffer, direct, isLast: isLast) }
    return socket.send(output, from: outputSent, then: buffer, direct, isLast: isLast)
  }

  // MARK: Reuse

  /// Returns the storage, and prepares for the next response.
  func reset() {
    buffer.releaseStorage()
    output.releaseStorage()
    outputSent = 0
    direct = 0..<0
    offset = 0
    hasBytes = false
    sentCount = 0
    body = ResponseBody(.none, downstream: .http11)
    if kept != nil { kept = nil }
    parser.reset()
  }

  /// A body part up to this size is copied after the head.
  private static let copiedBytesMax = 4 << 10
  /// A body with more than this remaining is read in larger pieces.
  private static let largeBytes = 64 << 10
}

extension HeadLimits {
  /// Bounds on the heads of Core's responses.
  fileprivate static let responses = HeadLimits(requestLineBytesMax: 8 << 10, headerBytesMax: 64 << 10, fieldsMax: 200)
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
