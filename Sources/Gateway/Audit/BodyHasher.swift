import Audit
import Bytes
import Digests
import HTTP1

/// Hashes the body of an audited write while it is relayed, and keeps the bytes of a small one.
final class BodyHasher {
  /// A body up to this size is complete before the intent. A longer one streams, and the outcome has its hash.
  static let wholeBytesMax = 64 << 10
  private static let keptBytesMax = 4 << 10

  /// Whether the body is longer than `wholeBytesMax`, as far as known.
  private(set) var streams: Bool
  /// The bytes so far, unless it streams.
  private(set) var bytes: [UInt8] = []
  private var stream = SHA256Stream()
  private var byteCount = 0
  /// Of all bytes; nil until it is asked for.
  private var digest: Digest?

  init() { streams = false }

  convenience init(_ framing: BodyFraming) {
    self.init()
    begin(framing)
  }

  /// Forgets everything, for another body.
  func begin(_ framing: BodyFraming) {
    switch framing {
    case .length(let count): begin(declared: count)
    case .none: begin(declared: 0)
    case .chunked, .untilClose: begin(declared: nil)
    }
  }

  /// - Parameter declared: the length in the head; nil: none.
  private func begin(declared: Int?) {
    forgetBytes()
    (stream, byteCount, digest) = (SHA256Stream(), 0, nil)
    streams = (declared ?? 0) > Self.wholeBytesMax
    if let declared, !streams { bytes.reserveCapacity(declared) }
  }

  func update(_ run: Span<UInt8>) {
    stream.update(run)
    digest = nil
    byteCount += run.count
    if byteCount > Self.wholeBytesMax { streams = true }
    guard !streams else { return forgetBytes() }
    bytes.append(copying: run)
  }

  /// Drops the bytes; keeps their count and hash, and a little storage.
  func forgetBytes() { bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptBytesMax) }

  func body(isWhole: Bool) -> AuditedBody {
    let digest = digest ?? stream.digest
    self.digest = digest
    return AuditedBody(byteCount: byteCount, digest: digest, isWhole: isWhole)
  }
}
