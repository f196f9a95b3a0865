import Digests
import Telemetry

/// Sees the body of an audited write on its way: its length, its SHA-256, and the bytes of one that is read whole.
final class BodyHasher {
  /// Bodies up to this are read whole before the intent; longer ones stream, and the outcome has their hash.
  static let wholeBytesMax = 64 << 10

  /// Whether the body is known to be longer.
  private(set) var streams: Bool
  /// The bytes so far, while it does not stream.
  private(set) var bytes: [UInt8] = []
  private var stream = SHA256Stream()
  private var byteCount = 0

  /// - Parameter declared: the length that the head states; nil: none.
  init(declared: Int?) {
    streams = (declared ?? 0) > Self.wholeBytesMax
    if let declared, !streams { bytes.reserveCapacity(declared) }
  }

  func update(_ run: Span<UInt8>) {
    stream.update(run)
    byteCount += run.count
    if byteCount > Self.wholeBytesMax { streams = true }
    guard !streams else {
      bytes = []
      return
    }
    for index in run.indices { bytes.append(run[index]) }
  }

  /// The bytes were read; only their count and hash are wanted from now on.
  func forgetBytes() { bytes = [] }

  func body(isWhole: Bool) -> AuditedBody {
    AuditedBody(byteCount: byteCount, digest: stream.digest, isWhole: isWhole)
  }
}
