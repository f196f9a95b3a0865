/// Incremental SHA-256, without allocation.
package struct SHA256Stream: Sendable {
  private var state = SHA256State()
  /// The bytes since the last whole block.
  private var block = SHA256State.Block(repeating: 0)
  private var byteCount: UInt64 = 0

  package init() {}

  package mutating func update(_ bytes: Span<UInt8>) {
    var offset = 0
    while offset < bytes.count {
      if byteCount & 63 == 0, bytes.count - offset >= 64 {
        state.compress(SHA256.wholeBlock(of: bytes, at: offset))
        offset += 64
        byteCount += 64
      } else {
        append(bytes[offset])
        offset += 1
      }
    }
  }

  /// The digest of all bytes so far; more may follow.
  package var digest: Digest {
    var last = self
    // FIPS 180-4 §5.1.1: one 1 bit, zeros, and the length in bits in the last 8 bytes of a block.
    last.append(0x80)
    while last.byteCount & 63 != 56 { last.append(0) }
    let bitCount = byteCount << 3
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      last.append(UInt8(truncatingIfNeeded: bitCount >> shift))
    }
    return last.state.digest
  }

  private mutating func append(_ byte: UInt8) {
    let offset = Int(byteCount & 63)
    block[offset >> 2] |= UInt32(byte) << UInt32(24 &- 8 &* (offset & 3))
    byteCount += 1
    guard offset == 63 else { return }
    state.compress(block)
    block = SHA256State.Block(repeating: 0)
  }
}
