import CProcessor

/// The checksum of RFC 9260, Appendix A (CRC32C, Castagnoli).
package struct CRC32C: Sendable {
  private var remainder = UInt32.max

  package init() {}

  /// The checksum of the bytes so far.
  package var value: UInt32 { ~remainder }

  package static func checksum(of bytes: Span<UInt8>) -> UInt32 {
    var sum = CRC32C()
    sum.update(bytes)
    return sum.value
  }

  package mutating func update(_ byte: UInt8) {
    remainder = remainder >> 8 ^ tables[Int(UInt8(truncatingIfNeeded: remainder) ^ byte)]
  }

  package mutating func update(_ bytes: Span<UInt8>) {
    #if arch(x86_64)
      if Self.hasInstruction { return updateByInstruction(bytes) }
    #endif
    updatePortably(bytes)
  }

  #if arch(x86_64)
    private static let hasInstruction = processor_has_crc32() != 0

    /// The records of a keyed write take 1,030 instead of 3,110 instructions.
    private mutating func updateByInstruction(_ bytes: Span<UInt8>) {
      var (rest, sum) = (bytes, UInt64(remainder))
      while rest.count >= 8 {
        let word = UInt64(Self.word(of: rest, at: 0)) | UInt64(Self.word(of: rest, at: 4)) << 32
        sum = processor_crc32c(sum, word)
        rest = rest.extracting(droppingFirst: 8)
      }
      remainder = UInt32(truncatingIfNeeded: sum)
      for index in rest.indices { update(rest[index]) }
    }
  #endif

  /// Without the instruction. Eight bytes at a time, because a start reads files of millions of records.
  mutating func updatePortably(_ bytes: Span<UInt8>) {
    let tables = tables.span
    var (rest, sum) = (bytes, remainder)
    while rest.count >= 8 {
      let low = sum ^ Self.word(of: rest, at: 0)
      let high = Self.word(of: rest, at: 4)
      sum = Self.product(low, tables, 4) ^ Self.product(high, tables, 0)
      rest = rest.extracting(droppingFirst: 8)
    }
    remainder = sum
    for index in rest.indices { update(rest[index]) }
  }

  /// What four bytes add to the checksum when `zeros` bytes follow them.
  @inline(__always)
  private static func product(_ word: UInt32, _ tables: Span<UInt32>, _ zeros: Int) -> UInt32 {
    let first = tables[(zeros &+ 3) &* 256 &+ Int(word & 0xff)] ^ tables[(zeros &+ 2) &* 256 &+ Int(word >> 8 & 0xff)]
    return first ^ tables[(zeros &+ 1) &* 256 &+ Int(word >> 16 & 0xff)] ^ tables[zeros &* 256 &+ Int(word >> 24)]
  }

  @inline(__always)
  private static func word(of bytes: Span<UInt8>, at offset: Int) -> UInt32 {
    let low = UInt32(bytes[offset]) | UInt32(bytes[offset &+ 1]) << 8
    return low | UInt32(bytes[offset &+ 2]) << 16 | UInt32(bytes[offset &+ 3]) << 24
  }
}

/// The polynomial 0x1edc6f41 with its bits reversed.
private let polynomial: UInt32 = 0x82f6_3b78

/// Eight tables of 256: the remainder of each byte, when 0 to 7 zero bytes follow it.
private let tables: [UInt32] = {
  var tables = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { sum, _ in sum >> 1 ^ (sum & 1) &* polynomial }
  }
  for index in 256..<2_048 {
    let shorter = tables[index - 256]
    tables.append(shorter >> 8 ^ tables[Int(shorter & 0xff)])
  }
  return tables
}()
