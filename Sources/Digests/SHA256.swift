/// SHA-256 (FIPS 180-4 §6.2) of bytes in memory, without allocation.
package enum SHA256 {
  /// The digest of `bytes`.
  package static func digest(of bytes: Span<UInt8>) -> Digest {
    var state = SHA256State()
    guard !(56..<64).contains(bytes.count) else {
      state.compress(partialBlock(of: bytes))
      var schedule = lengthSchedules[bytes.count &- 56]
      state.compress(&schedule)
      return state.digest
    }
    state.finish(bytes, after: 0)
    return state.digest
  }

  @inline(__always)
  static func wholeBlock(of bytes: Span<UInt8>, at offset: Int) -> SHA256State.Block {
    let bytes = bytes.extracting(offset..<offset &+ 64)
    // A literal, because zeros that are replaced by a loop take 100 instructions more.
    return [
      word(of: bytes, at: 0), word(of: bytes, at: 4), word(of: bytes, at: 8), word(of: bytes, at: 12),
      word(of: bytes, at: 16), word(of: bytes, at: 20), word(of: bytes, at: 24), word(of: bytes, at: 28),
      word(of: bytes, at: 32), word(of: bytes, at: 36), word(of: bytes, at: 40), word(of: bytes, at: 44),
      word(of: bytes, at: 48), word(of: bytes, at: 52), word(of: bytes, at: 56), word(of: bytes, at: 60),
    ]
  }

  /// Fewer than 64 bytes, followed by a 1 bit and zeros.
  @inline(__always)
  static func partialBlock(of bytes: Span<UInt8>) -> SHA256State.Block {
    var block: SHA256State.Block = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    var (rest, index) = (bytes, 0)
    while rest.count >= 4 {
      block[index & 15] = word(of: rest, at: 0)
      rest = rest.extracting(droppingFirst: 4)
      index &+= 1
    }
    var last: UInt32 = 0x8000_0000
    for offset in (0..<rest.count).reversed() { last = UInt32(rest[offset]) << 24 | last >> 8 }
    block[index & 15] = last
    return block
  }

  /// Four bytes as a big-endian word: one load once compiled.
  @inline(__always)
  static func word(of bytes: Span<UInt8>, at offset: Int) -> UInt32 {
    let high = UInt32(bytes[offset]) << 24 | UInt32(bytes[offset &+ 1]) << 16
    return high | UInt32(bytes[offset &+ 2]) << 8 | UInt32(bytes[offset &+ 3])
  }
}

/// The schedules of the second block of messages of 56 to 63 bytes. That block holds only the length, so it is known in
/// advance. The gateway's tokens have 57 bytes: this saves 700 of the 5,000 instructions of their digest.
private let lengthSchedules = (56..<64).map { count in
  var block = SHA256State.Block(repeating: 0)
  block.setBitCount(ofBytes: count)
  return SHA256Schedule(block)
}

extension SHA256State {
  /// Hashes the last bytes of a message, and its end (FIPS 180-4 §5.1.1): one 1 bit, zeros, and the length in bits in the
  /// last 8 bytes of a block.
  ///
  /// - Parameter hashed: how many bytes were hashed before, in whole blocks.
  mutating func finish(_ bytes: Span<UInt8>, after hashed: Int) {
    var rest = bytes
    while rest.count >= 64 {
      compress(SHA256.wholeBlock(of: rest, at: 0))
      rest = rest.extracting(droppingFirst: 64)
    }
    var last = SHA256.partialBlock(of: rest)
    if rest.count >= 56 {
      compress(last)
      last = Block(repeating: 0)
    }
    last.setBitCount(ofBytes: hashed &+ bytes.count)
    compress(last)
  }
}

extension SHA256State.Block {
  mutating func setBitCount(ofBytes count: Int) {
    let bitCount = UInt64(count) << 3
    self[14] = UInt32(truncatingIfNeeded: bitCount >> 32)
    self[15] = UInt32(truncatingIfNeeded: bitCount)
  }
}
