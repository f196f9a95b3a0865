/// The hash value of SHA-256 between blocks: eight words (FIPS 180-4 §5.3.3).
struct SHA256State {
  typealias Block = InlineArray<16, UInt32>

  var h0: UInt32 = 0x6a09_e667
  var h1: UInt32 = 0xbb67_ae85
  var h2: UInt32 = 0x3c6e_f372
  var h3: UInt32 = 0xa54f_f53a
  var h4: UInt32 = 0x510e_527f
  var h5: UInt32 = 0x9b05_688c
  var h6: UInt32 = 0x1f83_d9ab
  var h7: UInt32 = 0x5be0_cd19

  mutating func compress(_ block: Block) {
    #if arch(x86_64)
      if SHA256Instructions.areAvailable { return SHA256Instructions.compress(block, into: &self) }
    #endif
    compressPortably(block)
  }

  mutating func compress(_ schedule: inout SHA256Schedule) {
    #if arch(x86_64)
      if SHA256Instructions.areAvailable { return SHA256Instructions.compress(&schedule, into: &self) }
    #endif
    round64(&schedule)
  }

  /// Without instructions for SHA-256.
  @inline(never)
  mutating func compressPortably(_ block: Block) {
    var schedule = SHA256Schedule(block)
    round64(&schedule)
  }

  /// FIPS 180-4 §6.2.2, steps 2 to 4, with choice and majority in forms that need fewer operations.
  ///
  /// - Parameter schedule: `inout` only so that the compiler does not copy it: 45 instructions.
  @inline(__always)
  private mutating func round64(_ schedule: inout SHA256Schedule) {
    var (a, b, c, d, e, f, g, h) = (h0, h1, h2, h3, h4, h5, h6, h7)
    var differing = b ^ c
    // After eight rounds each word is back in its variable; moving them in every round takes 14 instructions more.
    for first in stride(from: 0, to: 64, by: 8) {
      Self.round(a, b, &d, e, f, g, &h, schedule.words[first], &differing)
      Self.round(h, a, &c, d, e, f, &g, schedule.words[first &+ 1], &differing)
      Self.round(g, h, &b, c, d, e, &f, schedule.words[first &+ 2], &differing)
      Self.round(f, g, &a, b, c, d, &e, schedule.words[first &+ 3], &differing)
      Self.round(e, f, &h, a, b, c, &d, schedule.words[first &+ 4], &differing)
      Self.round(d, e, &g, h, a, b, &c, schedule.words[first &+ 5], &differing)
      Self.round(c, d, &f, g, h, a, &b, schedule.words[first &+ 6], &differing)
      Self.round(b, c, &e, f, g, h, &a, schedule.words[first &+ 7], &differing)
    }
    h0 &+= a
    h1 &+= b
    h2 &+= c
    h3 &+= d
    h4 &+= e
    h5 &+= f
    h6 &+= g
    h7 &+= h
  }

  /// Changes two words; the other six are only renamed, by the caller's argument order.
  ///
  /// - Parameter differing: the XOR of the second and the third word, computed by the previous round; set for the next one.
  @inline(__always)
  private static func round(
    _ a: UInt32, _ b: UInt32, _ d: inout UInt32, _ e: UInt32, _ f: UInt32, _ g: UInt32, _ h: inout UInt32,
    _ word: UInt32, _ differing: inout UInt32
  ) {
    let choice = g ^ (e & (f ^ g))
    h &+= bigSigma1(e) &+ choice &+ word
    d &+= h
    let differs = a ^ b
    // The majority is b where b equals a or c, else a.
    let majority = b ^ (differs & differing)
    differing = differs
    h &+= bigSigma0(a) &+ majority
  }

  /// Hashes the end of a message of 96 bytes: a digest, and the padding. Of an HMAC, the second step.
  mutating func compressLast(_ digest: SHA256State) {
    compress([
      digest.h0, digest.h1, digest.h2, digest.h3, digest.h4, digest.h5, digest.h6, digest.h7,
      0x8000_0000, 0, 0, 0, 0, 0, 0, 96 * 8,
    ])
  }

  var digest: Digest {
    Digest(words: (join(h0, h1), join(h2, h3), join(h4, h5), join(h6, h7)))
  }
}

/// Σ0: rotations by 2, 13 and 22, nested, so that no rotation needs a copy.
@inline(__always)
private func bigSigma0(_ word: UInt32) -> UInt32 {
  rotated(rotated(rotated(word, by: 9) ^ word, by: 11) ^ word, by: 2)
}

/// Σ1: rotations by 6, 11 and 25, nested.
@inline(__always)
private func bigSigma1(_ word: UInt32) -> UInt32 {
  rotated(rotated(rotated(word, by: 14) ^ word, by: 5) ^ word, by: 6)
}

@inline(__always)
private func rotated(_ word: UInt32, by count: UInt32) -> UInt32 {
  (word &>> count) | (word &<< (32 &- count))
}

private func join(_ high: UInt32, _ low: UInt32) -> UInt64 {
  UInt64(high) << 32 | UInt64(low)
}
