import HTTP1
import Reactor
import Upstream

/// The request on its way to Core: the head that the gateway wrote, and behind it the body as it comes.
struct OutgoingRequest: ~Copyable {
  private(set) var body = RequestBody(.none, bytesMax: 0)
  /// How much of the connection's input belongs to this request and was used.
  private(set) var consumed = 0
  /// What goes to Core next. It holds the whole request until more body than its room has come, so that a read can be
  /// sent again.
  private var buffer: ByteBuffer?
  private var sent = 0
  /// A write was refused for want of room: over TLS the very same bytes must go next, neither fewer nor more
  /// (OpenSSL: "bad length").
  private var isPinned = false

  /// Begins with a head of `headCount` bytes in the connection's input.
  init(_ framing: BodyFraming, headCount: Int, bytesMax: Int) {
    body = RequestBody(framing, bytesMax: bytesMax)
    consumed = headCount
  }

  init() {}

  /// Admitted, it may have a body of this many bytes.
  mutating func bound(bodyBytes bytesMax: Int) { body.bytesMax = bytesMax }

  /// Lets the body be seen on its way.
  mutating func show(_ witness: BodyWitness) { body.witness = witness }

  /// Takes the buffer that the head is then written into.
  mutating func take(_ buffer: ByteBuffer) { self.buffer = buffer }

  mutating func giveBuffer() -> ByteBuffer? {
    defer { buffer = nil }
    return buffer
  }

  /// Begins again on another connection.
  mutating func restart() {
    sent = 0
    isPinned = false
  }

  /// Whether all that came is on the wire.
  var isFlushed: Bool { sent == (buffer?.count ?? 0) }

  /// Whether the request is on the wire as a whole.
  var isSent: Bool { isFlushed && body.isComplete }

  /// Whether the body is whole behind the head, or has filled the room for it.
  var isGathered: Bool {
    body.isComplete
      || !body.isWantedWhole && (buffer?.freeCapacity ?? 0) <= RequestBody.chunkFramingBytesMax
  }

  /// Puts what `input` holds of the body behind the head; true when there is something to write.
  mutating func fill(from input: ByteBuffer) throws(Fault) -> Bool {
    guard let buffer else { return false }
    guard !body.isComplete, !isPinned else { return !isFlushed }
    if sent > 0, isFlushed {
      buffer.removeAll()
      sent = 0
    }
    if isFlushed || sent == 0 {
      try input.withBytes { bytes throws(Fault) in try body.relay(bytes, &consumed, to: buffer) }
      // A body that the audit log wants whole gets room as it comes, so that who sends slowly holds little.
      while body.isWantedWhole, !body.isComplete, buffer.freeCapacity <= RequestBody.chunkFramingBytesMax {
        buffer.grow(to: 2 * buffer.capacity)
        try input.withBytes { bytes throws(Fault) in try body.relay(bytes, &consumed, to: buffer) }
      }
    }
    return !isFlushed
  }

  /// Takes body bytes that were used out of `input`, behind the head of `headCount` bytes.
  mutating func dropUsed(from input: ByteBuffer, headCount: Int) {
    guard consumed > headCount else { return }
    input.remove(headCount..<consumed)
    consumed = headCount
  }

  /// Reads over what `input` holds of the body; true when that is all of it.
  mutating func skipBody(in input: ByteBuffer) -> Bool {
    guard !body.isComplete else { return true }
    do throws(Fault) {
      try input.withBytes { bytes throws(Fault) in try body.skip(bytes, &consumed) }
    } catch {
      return false
    }
    return body.isComplete
  }

  /// Writes what stands ready; after `.wouldBlock` the very same bytes are written next.
  mutating func send(on upstream: UpstreamConnection) -> Transfer {
    guard let buffer else { return .ended }
    let transfer = upstream.send(buffer, sent..<buffer.count)
    isPinned = transfer == .wouldBlock
    if case .bytes(let count) = transfer { sent += count }
    return transfer
  }
}
