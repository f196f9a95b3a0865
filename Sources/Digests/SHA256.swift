/// SHA-256 (FIPS 180-4 §6.2) of bytes in memory, without allocation.
package enum SHA256 {
  /// The digest of all of `bytes`, of any length.
  package static func digest(of bytes: Span<UInt8>) -> Digest {
    var state = SHA256State()
    var offset = 0
    while bytes.count - offset >= 64 {
      state.compress(wholeBlock(of: bytes, at: offset))
      offset += 64
    }
    // FIPS 180-4 §5.1.1: one 1 bit, zeros, and the length in bits in the last 8 bytes of a block.
    var last = partialBlock(of: bytes, from: offset)
    if bytes.count - offset >= 56 {
      state.compress(last)
      last = InlineArray(repeating: 0)
    }
    let bitCount = UInt64(bytes.count) << 3
    last[14] = UInt32(truncatingIfNeeded: bitCount >> 32)
    last[15] = UInt32(truncatingIfNeeded: bitCount)
    state.compress(last)
    return state.digest
  }

  static func wholeBlock(of bytes: Span<UInt8>, at offset: Int) -> SHA256State.Block {
    var block = SHA256State.Block(repeating: 0)
    for index in 0..<16 {
      let at = offset &+ 4 &* index
      block[index] =
        UInt32(bytes[at]) << 24 | UInt32(bytes[at &+ 1]) << 16 | UInt32(bytes[at &+ 2]) << 8 | UInt32(bytes[at &+ 3])
    }
    return block
  }

  /// The bytes after the last whole block, with the 1 bit that follows them.
  private static func partialBlock(of bytes: Span<UInt8>, from offset: Int) -> SHA256State.Block {
    var block = SHA256State.Block(repeating: 0)
    let count = bytes.count - offset
    for index in 0..<count {
      block[index >> 2] |= UInt32(bytes[offset &+ index]) << UInt32(24 &- 8 &* (index & 3))
    }
    block[count >> 2] |= 0x80 << UInt32(24 &- 8 &* (count & 3))
    return block
  }
}
