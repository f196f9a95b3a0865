import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// Relays a request to Core: the head that the gateway writes, then the body as it arrives.
///
/// Belongs to one exchange, and is reused with it.
final class RequestRelay {
  private(set) var body = RequestBody()
  /// The offset in the connection's input up to which this request has been consumed: starts after its head, and
  /// returns there when relayed bytes are removed from the input.
  private(set) var consumed = 0
  /// Whether it has no body: then it can be written again.
  private(set) var isHeadOnly = true
  /// What is sent to Core next.
  private let buffer: ByteBuffer
  private var sent = 0
  /// Whether a write returned `.wouldBlock`: over TLS the next write must pass the same bytes, neither fewer nor more
  /// (OpenSSL: "bad length").
  private var isPinned = false

  /// The minimum capacity for buffering the body, however large the head is.
  private static let bufferedBodyBytesMin = 16 << 10

  /// - Parameter buffers: provides the storage while a request is in flight.
  init(buffers: BufferPool) { buffer = ByteBuffer(from: buffers) }

  /// Starts with a head of `headCount` bytes in the connection's input.
  @inline(__always)
  func begin(_ framing: BodyFraming, headCount: Int) {
    body.begin(framing)
    consumed = headCount
    if case .none = framing { isHeadOnly = true } else { isHeadOnly = false }
  }

  /// Returns the storage, and prepares for the next request.
  func reset() {
    buffer.releaseStorage()
    body.begin(.none)
    if body.hasher != nil { body.hasher = nil }
    consumed = 0
    sent = 0
    isPinned = false
  }

  /// Limits the body, once the request is admitted.
  func limitBody(to bytesMax: Int) { body.bytesMax = bytesMax }

  /// Hashes the body while it is relayed.
  func hash(with hasher: BodyHasher) { body.hasher = hasher }

  /// Writes the head, for the first try or a retry.
  ///
  /// - Parameter keyIndex: which of the instance's keys to use.
  @_optimize(speed)
  func writeHead(
    _ input: RequestInput, _ admission: Admission, _ access: InstanceAccess, keyIndex: Int, id: RequestID,
    forwardingLines: [UInt8]
  ) {
    buffer.removeAll()
    sent = 0
    isPinned = false
    input.buffer.withBytes { bytes in
      access.headWriters[keyIndex].write(
        input.parser.head, bytes, admission, id: id, forwardingLines: forwardingLines, to: buffer)
    }
    if !isHeadOnly { buffer.reserve(Self.bufferedBodyBytesMin) }
  }

  /// Returns the storage after the whole request was sent: others can use it, while it is still in the CPU cache.
  func didSend() {
    buffer.releaseStorage()
    sent = 0
  }

  /// Whether everything in the buffer was sent.
  var isFlushed: Bool { sent == buffer.count }

  /// Whether the buffer holds the whole body, or is full.
  var isBodyBuffered: Bool {
    body.isComplete
      || !body.mustBeComplete && buffer.freeCapacity <= BodyWriter.framingBytesMax
  }

  /// Moves the received part of the body into the buffer; true if there are bytes to send.
  func fill(from input: ByteBuffer) throws(Fault) -> Bool {
    guard !body.isComplete, !isPinned else { return !isFlushed }
    if sent > 0, isFlushed {
      buffer.removeAll()
      sent = 0
    }
    if isFlushed || sent == 0 {
      try input.withBytes { bytes throws(Fault) in try body.relay(bytes, &consumed, to: buffer) }
      // Grow step by step for a body that must be complete: a slow sender occupies little memory.
      while body.mustBeComplete, !body.isComplete, buffer.freeCapacity <= BodyWriter.framingBytesMax {
        buffer.grow(to: 2 * buffer.capacity)
        try input.withBytes { bytes throws(Fault) in try body.relay(bytes, &consumed, to: buffer) }
      }
    }
    return !isFlushed
  }

  /// Removes relayed body bytes from `input`, after the head of `headCount` bytes.
  func dropRelayed(from input: ByteBuffer, headCount: Int) {
    guard consumed > headCount else { return }
    input.remove(headCount..<consumed)
    consumed = headCount
  }

  /// Moves the received part of a body that is for the gateway itself into the buffer, without framing; true if it is
  /// complete.
  func collect(from input: ByteBuffer) throws(Fault) -> Bool {
    try input.withBytes { bytes throws(Fault) in try body.collect(bytes, &consumed, to: buffer) }
    return body.isComplete
  }

  /// Calls `use` with the collected body.
  func withCollected<Result, Failure>(_ use: (Span<UInt8>) throws(Failure) -> Result) throws(Failure) -> Result {
    try buffer.withBytes(use)
  }

  /// Skips the received part of the body; true if that is all of it.
  func skipBody(in input: ByteBuffer) -> Bool {
    guard !body.isComplete else { return true }
    do throws(Fault) {
      try input.withBytes { bytes throws(Fault) in try body.skip(bytes, &consumed) }
    } catch {
      return false
    }
    return body.isComplete
  }

  /// Sends what the buffer holds. After `.wouldBlock`, the next call sends the same bytes.
  @_optimize(speed)
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
