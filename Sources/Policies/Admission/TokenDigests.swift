import Digests

/// The digests of tokens that have been presented, so that the next request with the same token need not hash it again.
///
/// It remembers what a function gave for some bytes, and decides nothing: whether a token is known and in force is asked
/// of the policy each time, so that no reload or revocation can be missed. Only tokens that a policy knows are to be
/// kept, so that made-up ones neither drive out others nor take memory.
///
/// A loop has one, for up to 4,096 tokens in 400 KiB; it begins with 128 and doubles when a set is full. The tokens rest
/// there as they do in the buffers that requests are read into: whoever can read this memory sees them pass by anyway,
/// and finds the keys of all instances beside them. Nothing prints them.
package struct TokenDigests: ~Copyable {
  private static let setCountMin = 16
  private static let setCountMax = 512
  /// How many tokens a set holds: of 1,024 that take turns, 2 find no place in theirs.
  private static let placeCount = 8
  /// The words of a token and of its digest.
  private static let placeWords = PackedBytes.wordsMax + 4

  /// For each place, how long its token is and what 25 bits of its hash are; 0: empty.
  private(set) var marks: [UInt32] = []
  private(set) var words: [UInt64] = []
  /// Without it, nobody can tell which tokens share a set.
  private let seed: (UInt64, UInt64)
  /// Counts the tokens that were put in the place of others, which takes turns.
  private var evictions = 0

  /// - Parameter random: where the seed comes from.
  package init(using random: inout some RandomNumberGenerator) {
    seed = (random.next(), random.next())
  }

  /// The digest of a token that is kept.
  func digest(of token: Span<UInt8>) -> Digest? {
    guard !marks.isEmpty, let packed = PackedBytes(token) else { return nil }
    let hash = packed.hash(seed)
    let first = firstPlace(hash)
    let mark = Self.mark(packed, hash)
    let marks = marks.span.extracting(first..<first &+ Self.placeCount)
    for place in marks.indices where marks[place] == mark {
      if let digest = digest(ofPacked: packed, at: first &+ place) { return digest }
    }
    return nil
  }

  /// Looks at every byte whatever the first difference, so that the time taken tells nothing about a token that is kept.
  @inline(__always)
  private func digest(ofPacked token: borrowing PackedBytes, at place: Int) -> Digest? {
    let start = place &* Self.placeWords
    let words = words.span.extracting(start..<start &+ Self.placeWords)
    var difference: UInt64 = 0
    for index in 0..<PackedBytes.wordsMax { difference |= words[index] ^ token.words[index] }
    guard difference == 0 else { return nil }
    let digest = words.extracting(droppingFirst: PackedBytes.wordsMax)
    return Digest(words: (digest[0], digest[1], digest[2], digest[3]))
  }

  /// Keeps the digest of a token that is not kept yet; the oldest but a few of a full set makes room.
  mutating func keep(_ digest: Digest, of token: Span<UInt8>) {
    guard let packed = PackedBytes(token) else { return }
    if marks.isEmpty { makeRoom(sets: Self.setCountMin) }
    let hash = packed.hash(seed)
    let place = takePlace(for: hash)
    marks[place] = Self.mark(packed, hash)
    let start = place * Self.placeWords
    for index in 0..<PackedBytes.wordsMax { words[start + index] = packed.words[index] }
    let end = start + PackedBytes.wordsMax
    (words[end], words[end + 1], words[end + 2], words[end + 3]) = digest.words
  }

  private mutating func takePlace(for hash: UInt64) -> Int {
    while true {
      let first = firstPlace(hash)
      for place in first..<first + Self.placeCount where marks[place] == 0 { return place }
      guard marks.count < Self.setCountMax * Self.placeCount else {
        evictions &+= 1
        return first + evictions & (Self.placeCount - 1)
      }
      grow()
    }
  }

  private mutating func makeRoom(sets: Int) {
    marks = Array(repeating: 0, count: sets * Self.placeCount)
    words = Array(repeating: 0, count: marks.count * Self.placeWords)
  }

  /// Doubles: the tokens of a set find their places in two.
  private mutating func grow() {
    let (oldMarks, oldWords) = (marks, words)
    makeRoom(sets: 2 * oldMarks.count / Self.placeCount)
    for (old, mark) in oldMarks.enumerated() where mark != 0 {
      let entry = oldWords.span.extracting(old * Self.placeWords..<(old + 1) * Self.placeWords)
      let place = takePlace(for: PackedBytes(words: entry, byteCount: Self.byteCount(mark)).hash(seed))
      marks[place] = mark
      for index in entry.indices { words[place * Self.placeWords + index] = entry[index] }
    }
  }

  /// The number of sets is a power of two.
  @inline(__always)
  private func firstPlace(_ hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash) &* Self.placeCount & (marks.count &- 1)
  }

  /// Never 0.
  @inline(__always)
  private static func mark(_ token: borrowing PackedBytes, _ hash: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: hash >> 32) & ~0x7f | UInt32(truncatingIfNeeded: token.byteCount)
  }

  private static func byteCount(_ mark: UInt32) -> Int { Int(mark & 0x7f) }
}
