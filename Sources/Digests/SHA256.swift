/// SHA-256 (FIPS 180-4 §6.2) of bytes in memory, without allocation.
package enum SHA256 {
  /// The digest of `bytes`.
  package static func digest(of bytes: Span<UInt8>) -> Digest {
    var state = SHA256State()
    var rest = bytes
    while rest.count >= 64 {
      state.compress(wholeBlock(of: rest, at: 0))
      rest = rest.extracting(droppingFirst: 64)
    }
    // FIPS 180-4 §5.1.1: one 1 bit, zeros, and the length in bits in the last 8 bytes of a block.
    var last = partialBlock(of: rest)
    if rest.count >= 56 {
      state.compress(last)
      guard bytes.count >= 64 else {
        state.compress(lengthSchedules.span.extracting(64 * (bytes.count - 56)..<64 * (bytes.count - 55)))
        return state.digest
      }
      last = InlineArray(repeating: 0)
    }
    last.setBitCount(ofBytes: bytes.count)
    state.compress(last)
    return state.digest
  }

  @inline(__always)
  static func wholeBlock(of bytes: Span<UInt8>, at offset: Int) -> SHA256State.Block {
    let bytes = bytes.extracting(offset..<offset &+ 64)
    var block = SHA256State.Block(repeating: 0)
    for index in 0..<16 { block[index] = word(of: bytes, at: 4 &* index) }
    return block
  }

  /// The bytes after the last whole block, followed by a 1 bit.
  @inline(__always)
  private static func partialBlock(of bytes: Span<UInt8>) -> SHA256State.Block {
    var block = SHA256State.Block(repeating: 0)
    var (rest, index) = (bytes, 0)
    // Four words at a time: fewer bounds checks.
    while rest.count >= 16 {
      for step in 0..<4 { block[index &+ step] = word(of: rest, at: 4 &* step) }
      rest = rest.extracting(droppingFirst: 16)
      index &+= 4
    }
    while rest.count >= 4 {
      block[index] = word(of: rest, at: 0)
      rest = rest.extracting(droppingFirst: 4)
      index &+= 1
    }
    var last: UInt32 = 0x8000_0000
    for offset in (0..<rest.count).reversed() { last = UInt32(rest[offset]) << 24 | last >> 8 }
    block[index] = last
    return block
  }

  /// Four bytes as a big-endian word: one load once compiled.
  @inline(__always)
  private static func word(of bytes: Span<UInt8>, at offset: Int) -> UInt32 {
    let high = UInt32(bytes[offset]) << 24 | UInt32(bytes[offset &+ 1]) << 16
    return high | UInt32(bytes[offset &+ 2]) << 8 | UInt32(bytes[offset &+ 3])
  }
}

/// The schedules of the second block of messages of 56 to 63 bytes. That block holds only the length, so it is known in
/// advance. The gateway's tokens have 57 bytes: this saves 700 of the 5,000 instructions of their digest.
private let lengthSchedules = (56..<64).flatMap { count in
  var block = SHA256State.Block(repeating: 0)
  block.setBitCount(ofBytes: count)
  let words = SHA256Schedule(block).words
  return words.indices.map { words[$0] }
}

extension SHA256State.Block {
  fileprivate mutating func setBitCount(ofBytes count: Int) {
    let bitCount = UInt64(count) << 3
    self[14] = UInt32(truncatingIfNeeded: bitCount >> 32)
    self[15] = UInt32(truncatingIfNeeded: bitCount)
  }
}
