package import Digests

/// Identifies an entry of a chain, usually the last one; a copy kept elsewhere shows whether the log was truncated.
package struct AuditHead: Equatable, Sendable {
  /// The chain's identifier: 64 random bits. A process begins a chain when it starts, and a new one whenever it
  /// abandons a file that it failed to write.
  package let writer: UInt64
  /// Counted from 1 in each chain.
  package let sequence: UInt64
  package let hash: Digest

  init(writer: UInt64, sequence: UInt64, hash: Digest) {
    self.writer = writer
    self.sequence = sequence
    self.hash = hash
  }

  /// Parses `WRITER:SEQ:HASH`, the form of `description`; nil for any other text.
  package init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].utf8.count == 16, let writer = UInt64(parts[0], radix: 16),
      let sequence = UInt64(parts[1]), let hash = Digest(hex: String(parts[2]))
    else { return nil }
    self.init(writer: writer, sequence: sequence, hash: hash)
  }

  /// 16 hexadecimal digits.
  package var writerText: String { Self.text(of: writer) }

  static func text(of writer: UInt64) -> String {
    let digits = String(writer, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
}

extension AuditHead: CustomStringConvertible {
  package var description: String { "\(writerText):\(sequence):\(hash.hex)" }
}
