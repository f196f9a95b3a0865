/// The message schedule of a block, 64 words, each with its round constant added (FIPS 180-4 §6.2.2, step 1).
struct SHA256Schedule {
  private(set) var words = InlineArray<64, UInt32>(repeating: 0)

  @inline(__always)
  init(_ block: SHA256State.Block) {
    var w0 = SIMD4(block[0], block[1], block[2], block[3])
    var w4 = SIMD4(block[4], block[5], block[6], block[7])
    var w8 = SIMD4(block[8], block[9], block[10], block[11])
    var w12 = SIMD4(block[12], block[13], block[14], block[15])
    set(0, w0)
    set(4, w4)
    set(8, w8)
    set(12, w12)
    for start in stride(from: 16, to: 64, by: 16) {
      w0 = Self.next(w0, w4, w8, w12)
      set(start, w0)
      w4 = Self.next(w4, w8, w12, w0)
      set(start &+ 4, w4)
      w8 = Self.next(w8, w12, w0, w4)
      set(start &+ 8, w8)
      w12 = Self.next(w12, w0, w4, w8)
      set(start &+ 12, w12)
    }
  }

  /// The four schedule words that follow the given sixteen. The last two depend on the first two, so σ1 is computed
  /// two words at a time.
  @inline(__always)
  private static func next(
    _ w0: SIMD4<UInt32>, _ w4: SIMD4<UInt32>, _ w8: SIMD4<UInt32>, _ w12: SIMD4<UInt32>
  ) -> SIMD4<UInt32> {
    let sums = w0 &+ smallSigma0(SIMD4(w0[1], w0[2], w0[3], w4[0])) &+ SIMD4(w8[1], w8[2], w8[3], w12[0])
    let low = sums.lowHalf &+ smallSigma1(w12.highHalf)
    return SIMD4(lowHalf: low, highHalf: sums.highHalf &+ smallSigma1(low))
  }

  @inline(__always)
  private mutating func set(_ start: Int, _ four: SIMD4<UInt32>) {
    for index in 0..<4 { words[start &+ index] = four[index] &+ roundConstants[start &+ index] }
  }

  /// The words of four rounds.
  @inline(__always)
  func four(_ start: Int) -> SIMD4<UInt32> {
    SIMD4(words[start], words[start &+ 1], words[start &+ 2], words[start &+ 3])
  }

  /// The constants of four rounds.
  @inline(__always)
  static func constants(_ start: Int) -> SIMD4<UInt32> {
    SIMD4(
      roundConstants[start], roundConstants[start &+ 1], roundConstants[start &+ 2], roundConstants[start &+ 3])
  }
}

/// σ0: rotations by 7 and 18 and a shift by 3. The two shifts of each rotation are kept in separate terms: if they are
/// adjacent, the compiler splits the vector to rotate each word.
@inline(__always)
private func smallSigma0(_ words: SIMD4<UInt32>) -> SIMD4<UInt32> {
  let first = shifted(words, left: 25) ^ shifted(words, right: 18)
  let second = shifted(words, left: 14) ^ shifted(words, right: 7)
  return first ^ second ^ shifted(words, right: 3)
}

/// σ1: rotations by 17 and 19 and a shift by 10. With each word twice in 64 bits, a shift is a rotation.
@inline(__always)
private func smallSigma1(_ words: SIMD2<UInt32>) -> SIMD2<UInt32> {
  let single = SIMD2<UInt64>(truncatingIfNeeded: words)
  let double = single | single &<< SIMD2(repeating: 32)
  return SIMD2(truncatingIfNeeded: shifted(double, right: 17) ^ shifted(double, right: 19) ^ shifted(single, right: 10))
}

@inline(__always)
private func shifted(_ words: SIMD4<UInt32>, left count: UInt32) -> SIMD4<UInt32> { words &<< SIMD4(repeating: count) }

@inline(__always)
private func shifted(_ words: SIMD4<UInt32>, right count: UInt32) -> SIMD4<UInt32> { words &>> SIMD4(repeating: count) }

@inline(__always)
private func shifted(_ words: SIMD2<UInt64>, right count: UInt64) -> SIMD2<UInt64> { words &>> SIMD2(repeating: count) }

/// FIPS 180-4 §4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
private let roundConstants: InlineArray<64, UInt32> = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]
