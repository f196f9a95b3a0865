import Digests

/// A cache of the digests of presented tokens, so that the next request with the same token need not hash it again.
///
/// It maps bytes to their digest and decides nothing: the policy is asked on every request whether a token is known and
/// valid, so no reload or revocation can be missed. Insert only tokens that a policy knows, so that made-up ones
/// neither evict others nor take memory.
///
/// Each loop has one, for up to 4,096 tokens in 400 KiB; it starts with 128 and doubles when a set is full. It holds
/// tokens in clear text, as request buffers do: code that can read this memory also sees every token as it arrives, and
/// the keys of all instances. Nothing prints them.
package struct TokenDigests: ~Copyable {
  private static let setCountMin = 16
  private static let setCountMax = 512
  /// At the maximum size, about 2 of 1,024 tokens find their set full.
  private static let slotsPerSet = 8
  /// The words of a token and of its digest.
  private static let slotWords = PackedBytes.wordsMax + 4

  /// For each slot, the length of its token and 25 bits of its hash; 0: empty.
  private(set) var tags: [UInt32] = []
  private(set) var words: [UInt64] = []
  /// Secret, so that callers cannot tell which tokens share a set.
  private let seed: (UInt64, UInt64)
  /// How many tokens were evicted; selects the slot of the next one in turn.
  private var evictions = 0

  init(seed: (UInt64, UInt64) = (.random(in: .min ... .max), .random(in: .min ... .max))) {
    self.seed = seed
  }

  /// The digest of a token; nil: not cached.
  @_optimize(speed)
  func digest(of token: Span<UInt8>) -> Digest? {
    guard !tags.isEmpty, let packed = PackedBytes(token) else { return nil }
    let hash = packed.hash(seed)
    let first = firstSlot(hash)
    let tag = Self.tag(packed, hash)
    let tags = tags.span.extracting(first..<first &+ Self.slotsPerSet)
    for slot in tags.indices where tags[slot] == tag {
      if let digest = digest(ofPacked: packed, at: first &+ slot) { return digest }
    }
    return nil
  }

  /// Compares every byte even after a difference, so that the time reveals nothing about the cached token.
  @inline(__always)
  private func digest(ofPacked token: borrowing PackedBytes, at slot: Int) -> Digest? {
    let start = slot &* Self.slotWords
    let words = words.span.extracting(start..<start &+ Self.slotWords)
    var difference: UInt64 = 0
    for index in 0..<PackedBytes.wordsMax { difference |= words[index] ^ token.words[index] }
    guard difference == 0 else { return nil }
    let digest = words.extracting(droppingFirst: PackedBytes.wordsMax)
    return Digest(words: (digest[0], digest[1], digest[2], digest[3]))
  }

  /// Caches the digest of a token that is not cached yet; evicts another if its set is full at the maximum size.
  mutating func insert(_ digest: Digest, of token: Span<UInt8>) {
    guard let packed = PackedBytes(token) else { return }
    if tags.isEmpty { allocate(sets: Self.setCountMin) }
    let hash = packed.hash(seed)
    let slot = claimSlot(for: hash)
    tags[slot] = Self.tag(packed, hash)
    let start = slot * Self.slotWords
    for index in 0..<PackedBytes.wordsMax { words[start + index] = packed.words[index] }
    let end = start + PackedBytes.wordsMax
    (words[end], words[end + 1], words[end + 2], words[end + 3]) = digest.words
  }

  private mutating func claimSlot(for hash: UInt64) -> Int {
    while true {
      let first = firstSlot(hash)
      for slot in first..<first + Self.slotsPerSet where tags[slot] == 0 { return slot }
      guard tags.count < Self.setCountMax * Self.slotsPerSet else {
        evictions &+= 1
        return first + evictions & (Self.slotsPerSet - 1)
      }
      grow()
    }
  }

  private mutating func allocate(sets: Int) {
    tags = Array(repeating: 0, count: sets * Self.slotsPerSet)
    words = Array(repeating: 0, count: tags.count * Self.slotWords)
  }

  /// Doubles the number of sets; the tokens of one set move to two.
  private mutating func grow() {
    let (oldTags, oldWords) = (tags, words)
    allocate(sets: 2 * oldTags.count / Self.slotsPerSet)
    for (old, tag) in oldTags.enumerated() where tag != 0 {
      let entry = oldWords.span.extracting(old * Self.slotWords..<(old + 1) * Self.slotWords)
      let slot = claimSlot(for: PackedBytes(words: entry, byteCount: Self.byteCount(tag)).hash(seed))
      tags[slot] = tag
      for index in entry.indices { words[slot * Self.slotWords + index] = entry[index] }
    }
  }

  /// The number of sets is a power of two.
  @inline(__always)
  private func firstSlot(_ hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash) &* Self.slotsPerSet & (tags.count &- 1)
  }

  /// Never 0.
  @inline(__always)
  private static func tag(_ token: borrowing PackedBytes, _ hash: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: hash >> 32) & ~0x7f | UInt32(truncatingIfNeeded: token.byteCount)
  }

  private static func byteCount(_ tag: UInt32) -> Int { Int(tag & 0x7f) }
}
