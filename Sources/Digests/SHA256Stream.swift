/// Incremental SHA-256, without allocation.
package struct SHA256Stream: Sendable {
  private var state = SHA256State()
  /// The bytes since the last whole block.
  private var block = SHA256State.Block(repeating: 0)
  private var byteCount: UInt64 = 0

  package init() {}

  /// - Parameter state: after `byteCount` bytes, in whole blocks.
  init(_ state: SHA256State, after byteCount: UInt64) {
    self.state = state
    self.byteCount = byteCount
  }

  package mutating func update(_ bytes: Span<UInt8>) {
    var rest = bytes
    while !rest.isEmpty {
      if byteCount & 63 == 0, rest.count >= 64 {
        state.compress(SHA256.wholeBlock(of: rest, at: 0))
        byteCount += 64
        rest = rest.extracting(droppingFirst: 64)
      } else if byteCount & 3 == 0, rest.count >= 4 {
        append(word: SHA256.word(of: rest, at: 0))
        rest = rest.extracting(droppingFirst: 4)
      } else {
        append(rest[0])
        rest = rest.extracting(droppingFirst: 1)
      }
    }
  }

  /// The digest of all bytes so far; more may follow.
  package var digest: Digest { final.digest }

  /// The state after the padding.
  var final: SHA256State {
    var (state, block) = (state, block)
    let used = Int(byteCount & 63)
    // FIPS 180-4 §5.1.1: one 1 bit, zeros, and the length in bits in the last 8 bytes of a block.
    block[used >> 2] |= 0x8000_0000 >> UInt32(8 &* (used & 3))
    if used >= 56 {
      state.compress(block)
      block = SHA256State.Block(repeating: 0)
    }
    block.setBitCount(ofBytes: Int(truncatingIfNeeded: byteCount))
    state.compress(block)
    return state
  }

  private mutating func append(_ byte: UInt8) {
    let offset = Int(byteCount & 63)
    block[offset >> 2] |= UInt32(byte) << UInt32(24 &- 8 &* (offset & 3))
    byteCount += 1
    compressIfFull()
  }

  private mutating func append(word: UInt32) {
    block[Int(byteCount & 63) >> 2] = word
    byteCount += 4
    compressIfFull()
  }

  @inline(__always)
  private mutating func compressIfFull() {
    guard byteCount & 63 == 0 else { return }
    state.compress(block)
    block = SHA256State.Block(repeating: 0)
  }
}
