import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// The request on its way to Core: the head that the gateway wrote, and behind it the body as it comes.
///
/// Belongs to one exchange, and is used again with it.
final class RequestRelay {
  private(set) var body = RequestBody()
  /// How much of the connection's input belongs to this request and was used.
  private(set) var consumed = 0
  /// Whether it is nothing but a head: then it can be written once more.
  private(set) var isHeadOnly = true
  /// What goes to Core next.
  private let buffer: ByteBuffer
  private var sent = 0
  /// A write was refused for want of room: over TLS the very same bytes must go next, neither fewer nor more
  /// (OpenSSL: "bad length").
  private var isPinned = false

  /// So much of a body is held back at least, however large its head is.
  private static let heldBackBytesMin = 16 << 10

  /// - Parameter buffers: where it has room from, while a request is under way.
  init(buffers: BufferPool) { buffer = ByteBuffer(from: buffers) }

  /// Begins with a head of `headCount` bytes in the connection's input.
  func begin(_ framing: BodyFraming, headCount: Int) {
    body.begin(framing)
    consumed = headCount
    if case .none = framing { isHeadOnly = true } else { isHeadOnly = false }
  }

  /// Gives its room back, and is ready for the next request.
  func reset() {
    buffer.giveBack()
    body.begin(.none)
    if body.hasher != nil { body.hasher = nil }
    consumed = 0
    sent = 0
    isPinned = false
  }

  /// Admitted, it may have a body of this many bytes.
  func bound(bodyBytes bytesMax: Int) { body.bytesMax = bytesMax }

  /// Has the body hashed on its way.
  func hash(with hasher: BodyHasher) { body.hasher = hasher }

  /// Writes the head, for a second try also.
  ///
  /// - Parameter keyIndex: which of the instance's keys it bears.
  func writeHead(
    _ input: RequestInput, _ admission: Admission, _ access: InstanceAccess, keyIndex: Int, id: RequestID,
    peer: [UInt8]
  ) {
    buffer.removeAll()
    sent = 0
    isPinned = false
    input.buffer.withBytes { bytes in
      access.routes[keyIndex].writeHead(input.parser.head, bytes, admission, id: id, peer: peer, to: buffer)
    }
    if !isHeadOnly { buffer.reserve(Self.heldBackBytesMin) }
  }

  /// All of it is on the wire: its room is for others while Core thinks, and still in the processor's cache.
  func didSend() {
    buffer.giveBack()
    sent = 0
  }

  /// Whether all that came is on the wire.
  var isFlushed: Bool { sent == buffer.count }

  /// Whether the body is whole behind the head, or has filled the room for it.
  var isGathered: Bool {
    body.isComplete
      || !body.isWantedWhole && buffer.freeCapacity <= BodyWriter.framingBytesMax
  }

  /// Puts what `input` holds of the body behind the head; true when there is something to write.
  func fill(from input: ByteBuffer) throws(Fault) -> Bool {
    guard !body.isComplete, !isPinned else { return !isFlushed }
    if sent > 0, isFlushed {
      buffer.removeAll()
      sent = 0
    }
    if isFlushed || sent == 0 {
      try input.withBytes { bytes throws(Fault) in try body.relay(bytes, &consumed, to: buffer) }
      // A body that the audit log wants whole gets room as it comes, so that who sends slowly holds little.
      while body.isWantedWhole, !body.isComplete, buffer.freeCapacity <= BodyWriter.framingBytesMax {
        buffer.grow(to: 2 * buffer.capacity)
        try input.withBytes { bytes throws(Fault) in try body.relay(bytes, &consumed, to: buffer) }
      }
    }
    return !isFlushed
  }

  /// Takes body bytes that were used out of `input`, behind the head of `headCount` bytes.
  func dropUsed(from input: ByteBuffer, headCount: Int) {
    guard consumed > headCount else { return }
    input.remove(headCount..<consumed)
    consumed = headCount
  }

  /// Reads over what `input` holds of the body; true when that is all of it.
  func skipBody(in input: ByteBuffer) -> Bool {
    guard !body.isComplete else { return true }
    do throws(Fault) {
      try input.withBytes { bytes throws(Fault) in try body.skip(bytes, &consumed) }
    } catch {
      return false
    }
    return body.isComplete
  }

  /// Writes what stands ready; after `.wouldBlock` the very same bytes are written next.
  func send(on upstream: UpstreamConnection) -> Transfer {
    let transfer = upstream.send(buffer, sent..<buffer.count)
    switch transfer {
    case .bytes(let count):
      sent += count
      isPinned = false
    case .wouldBlock: isPinned = true
    case .ended, .failed: isPinned = false
    }
    return transfer
  }
}
