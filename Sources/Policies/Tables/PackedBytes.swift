import HTTP1

/// 1 to 64 bytes as words, to hash and compare them eight at a time. The last word holds the last eight bytes, even if
/// it overlaps the word before, so that it is a single load, too.
struct PackedBytes: ~Copyable {
  static let bytesMax = 64
  static let wordsMax = bytesMax / 8

  /// `wordCount` words, then zeros.
  private(set) var words = InlineArray<8, UInt64>(repeating: 0)
  let byteCount: Int

  /// nil for other lengths.
  @inline(__always)
  init?(_ bytes: Span<UInt8>) {
    guard (1...Self.bytesMax).contains(bytes.count) else { return nil }
    byteCount = bytes.count
    let last = byteCount < 8 ? bytes.packed(0..<byteCount) : bytes.wholeWord(at: byteCount &- 8)
    // Constant indices, so that all words stay in registers.
    for index in 0..<Self.wordsMax {
      let start = 8 &* index
      guard start < byteCount else { break }
      words[index] = start &+ 8 <= byteCount ? bytes.wholeWord(at: start) : last
    }
  }

  /// Restores packed bytes from their words.
  init(words: Span<UInt64>, byteCount: Int) {
    self.byteCount = byteCount
    for index in 0..<Self.wordsMax { self.words[index] = words[index] }
  }

  var wordCount: Int { (byteCount &+ 7) / 8 }

  /// XORs the halves of products, so that each bit depends on every byte and on the seed.
  @inline(__always)
  func hash(_ seed: (UInt64, UInt64)) -> UInt64 {
    var hash = seed.0
    for index in stride(from: 0, to: Self.wordsMax, by: 2) {
      let product = (words[index] ^ hash).multipliedFullWidth(by: words[index &+ 1] ^ seed.1)
      hash = product.high ^ product.low
    }
    return hash
  }
}
