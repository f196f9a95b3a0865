import Audit
import Bytes
import Digests
import HTTP1

/// Hashes the body of an audited write while it is relayed, and keeps the bytes of a small one.
final class BodyHasher {
  /// A body up to this size is complete before the intent. A longer one streams, and the outcome has its hash.
  static let wholeBytesMax = 64 << 10

  /// Whether the body is longer than `wholeBytesMax`, as far as known.
  private(set) var streams: Bool
  /// The bytes so far, unless it streams.
  private(set) var bytes: [UInt8] = []
  private var stream = SHA256Stream()
  private var byteCount = 0
  /// Of all bytes; nil until it is asked for.
  private var digest: Digest?

  convenience init(_ framing: BodyFraming) {
    switch framing {
    case .length(let count): self.init(declared: count)
    case .none: self.init(declared: 0)
    case .chunked, .untilClose: self.init(declared: nil)
    }
  }

  /// - Parameter declared: the length in the head; nil: none.
  init(declared: Int?) {
    streams = (declared ?? 0) > Self.wholeBytesMax
    if let declared, !streams { bytes.reserveCapacity(declared) }
  }

  func update(_ run: Span<UInt8>) {
    stream.update(run)
    digest = nil
    byteCount += run.count
    if byteCount > Self.wholeBytesMax { streams = true }
    guard !streams else {
      bytes = []
      return
    }
    bytes.append(copying: run)
  }

  /// Drops the bytes; keeps their count and hash.
  func forgetBytes() { bytes = [] }

  func body(isWhole: Bool) -> AuditedBody {
    let digest = digest ?? stream.digest
    self.digest = digest
    return AuditedBody(byteCount: byteCount, digest: digest, isWhole: isWhole)
  }
}
