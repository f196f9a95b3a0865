import Bytes
import Synchronization

/// One loop's buffer of the access log. It collects lines, hands them over in batches, and never blocks.
package final class AccessLogBuffer {
  /// The size at which the buffer is handed over.
  package static let bytesMax = 64 * 1024
  /// The age in microseconds at which `flushIfDue` hands over the oldest line.
  package static let ageMax: Int64 = 500_000
  private static let gatheredBytes = 2 << 10

  private let channel: AccessLogChannel
  private let wake: @Sendable () -> Void
  private var line = AccessLogLine()
  /// The latest lines, moved to `bytes` in batches, which saves 130 instructions per line.
  private let text = ByteBuffer(capacity: 8 << 10)
  private var bytes: [UInt8] = []
  private var lines = 0
  /// When the oldest line was appended, on the clock that the caller passes in.
  private var oldestAt: Int64 = 0

  init(_ channel: AccessLogChannel, wake: @escaping @Sendable () -> Void) {
    self.channel = channel
    self.wake = wake
    bytes.reserveCapacity(Self.bytesMax + AccessLogChannel.lineBytesReserved)
  }

  /// Appends the line of an exchange. If this buffer and the one handed over before are both full, the line is dropped and
  /// counted.
  ///
  /// Texts are bytes as received or as in the policy; an empty one is left out of the line.
  ///
  /// - Parameters:
  ///   - token: the token's note in the policy.
  ///   - route: the route's pattern.
  ///   - peer: the caller's address.
  ///   - via: the address of the front that reported the caller.
  ///   - head: the bytes that `texts` are ranges of.
  ///   - now: microseconds on any monotonic clock.
  package func append(
    _ record: borrowing ExchangeRecord, client: Span<UInt8>, token: Span<UInt8>, instance: Span<UInt8>,
    route: Span<UInt8>, operation: Span<UInt8>, peer: Span<UInt8>, via: Span<UInt8>,
    _ texts: RequestTexts, in head: Span<UInt8>,
    now: Int64
  ) {
    guard bytes.count < Self.bytesMax || handOver() else {
      channel.countDropped(1)
      return
    }
    if isEmpty { oldestAt = now }
    line.append(
      record, client: client, token: token, instance: instance, route: route, operation: operation, peer: peer,
      via: via, texts,
      in: head, to: text)
    lines += 1
    guard text.count >= Self.gatheredBytes else { return }
    text.move(to: &bytes)
    if bytes.count >= Self.bytesMax { handOver() }
  }

  /// Hands over the lines if the oldest is older than `ageMax`. Call it once per turn of the loop.
  package func flushIfDue(now: Int64) {
    if !isEmpty, now - oldestAt >= Self.ageMax { handOver() }
  }

  /// Hands over the rest when the loop ends, even if the writer is behind. Call it before `AccessLog.close`.
  package func close() {
    text.move(to: &bytes)
    channel.handOverLast(bytes, lines: lines)
    bytes = []
    lines = 0
  }

  package var isEmpty: Bool { lines == 0 }

  @discardableResult
  private func handOver() -> Bool {
    text.move(to: &bytes)
    guard channel.handOver(&bytes, lines: lines) else { return false }
    lines = 0
    wake()
    return true
  }
}

/// Shared by one loop and the writer: the buffer that waits to be written.
final class AccessLogChannel: Sendable {
  /// For a line with an 8 KiB path in which every byte is escaped; a longer line makes the buffer grow.
  static let lineBytesReserved = 52 * 1024

  private struct Waiting {
    var bytes: [UInt8] = []
    var lines = 0
  }

  private let waiting = Mutex(Waiting())
  private let dropped = Atomic<Int>(0)

  var droppedLines: Int { dropped.load(ordering: .relaxed) }

  func countDropped(_ lines: Int) { dropped.add(lines, ordering: .relaxed) }

  /// Swaps a full buffer for an empty one; false if the writer has not taken the previous one.
  func handOver(_ bytes: inout [UInt8], lines: Int) -> Bool {
    waiting.withLock { waiting in
      guard waiting.bytes.isEmpty else { return false }
      swap(&waiting.bytes, &bytes)
      waiting.lines = lines
      return true
    }
  }

  func handOverLast(_ bytes: [UInt8], lines: Int) {
    waiting.withLock { waiting in
      waiting.bytes += bytes
      waiting.lines += lines
    }
  }

  /// Swaps the waiting buffer for the writer's empty one and returns the number of its lines.
  func take(_ bytes: inout [UInt8]) -> Int {
    waiting.withLock { waiting in
      guard !waiting.bytes.isEmpty else { return 0 }
      swap(&waiting.bytes, &bytes)
      defer { waiting.lines = 0 }
      return waiting.lines
    }
  }
}
