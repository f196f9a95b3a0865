import HTTP1
package import OAuth

/// What a loop knows about signed tokens: those it has verified under one policy, and those that were revoked.
///
/// A token is in the cache only if it is valid apart from its expiry, so a hit needs no other check than that one, and
/// after a revocation of any token the check of its ids. Under another policy the cache is empty. Made-up tokens never
/// get in, so they neither evict others nor take memory.
///
/// Each loop has one, for up to 2,048 tokens in 500 KiB; it starts with 64.
package struct SignedTokens: ~Copyable {
  /// A verified token.
  struct Entry {
    let client: Int32
    let scopes: ScopeSet
    let expiry: Int64
    let id: TokenID
    let grant: TokenID
    /// The number of revocations that it was compared with.
    fileprivate var epoch: UInt32 = 0

    init(client: Int32, scopes: ScopeSet, expiry: Int64, id: TokenID, grant: TokenID) {
      self.client = client
      self.scopes = scopes
      self.expiry = expiry
      self.id = id
      self.grant = grant
    }
  }

  /// Longer tokens are verified on each request.
  static let characterCountMax = 8 * wordsMax
  private static let wordsMax = 24
  private static let slotsPerSet = 4
  private static let setCountMin = 16
  private static let setCountMax = 512

  /// For each slot, the length of its token and some bits of its hash; 0: empty.
  private var tags: [UInt32] = []
  private var words: [UInt64] = []
  private var entries: [Entry] = []
  /// Under which the tokens were verified; nil: there are none.
  private var policy: PolicyIdentity?
  private let seed: (UInt64, UInt64)
  private var evictions = 0
  private var revoked: Set<TokenID> = []
  /// Counts the calls of `revoke`.
  private var epoch: UInt32 = 0

  init(seed: (UInt64, UInt64) = (.random(in: .min ... .max), .random(in: .min ... .max))) {
    self.seed = seed
  }

  /// Adds revoked tokens and grants. Its cost depends on their number only, not on what is revoked or cached already.
  package mutating func revoke(_ ids: some Sequence<TokenID>) {
    for id in ids { revoked.insert(id) }
    epoch &+= 1
  }

  /// Forgets revoked tokens and grants, because all tokens that they revoke have expired long ago.
  package mutating func forgetRevoked(_ ids: some Sequence<TokenID>) {
    for id in ids { revoked.remove(id) }
  }

  private mutating func forget() {
    policy = nil
    tags = []
    words = []
    entries = []
  }

  func isRevoked(_ id: TokenID) -> Bool { !revoked.isEmpty && revoked.contains(id) }

  /// The entry of a token; nil: it was not verified under this policy, was revoked, or was evicted. Compares all bytes
  /// even after a difference.
  @_optimize(speed)
  mutating func entry(of token: Span<UInt8>, under policy: PolicyIdentity) -> Entry? {
    guard policy == self.policy, token.count <= Self.characterCountMax else { return nil }
    let hash = hash(token)
    let tag = Self.tag(token, hash)
    let first = firstSlot(hash)
    for slot in first..<first &+ Self.slotsPerSet where tags[slot] == tag {
      if isEqual(token, at: slot) { return isInForce(slot) ? entries[slot] : nil }
    }
    return nil
  }

  /// Whether the token of a slot has not been revoked since it was verified.
  @inline(__always)
  private mutating func isInForce(_ slot: Int) -> Bool {
    if entries[slot].epoch == epoch { return true }
    guard !isRevoked(entries[slot].id), !isRevoked(entries[slot].grant) else { return false }
    entries[slot].epoch = epoch
    return true
  }

  @_optimize(speed)
  mutating func insert(_ token: Span<UInt8>, _ entry: Entry, under policy: PolicyIdentity) {
    guard token.count <= Self.characterCountMax else { return }
    if policy != self.policy {
      forget()
      self.policy = policy
    }
    if tags.isEmpty { allocate(sets: Self.setCountMin, filledWith: entry) }
    let hash = hash(token)
    let slot = claimSlot(for: hash, entry)
    tags[slot] = Self.tag(token, hash)
    entries[slot] = entry
    entries[slot].epoch = epoch
    store(token, at: slot)
  }

  private mutating func claimSlot(for hash: UInt64, _ entry: Entry) -> Int {
    while true {
      let first = firstSlot(hash)
      for slot in first..<first + Self.slotsPerSet where tags[slot] == 0 { return slot }
      guard tags.count < Self.setCountMax * Self.slotsPerSet else {
        evictions &+= 1
        return first + evictions & (Self.slotsPerSet - 1)
      }
      // Tokens come back at their next request: moving them would need their hashes.
      allocate(sets: 2 * tags.count / Self.slotsPerSet, filledWith: entry)
    }
  }

  private mutating func allocate(sets: Int, filledWith entry: Entry) {
    tags = Array(repeating: 0, count: sets * Self.slotsPerSet)
    words = Array(repeating: 0, count: tags.count * Self.wordsMax)
    entries = Array(repeating: entry, count: tags.count)
  }

  @inline(__always)
  private func firstSlot(_ hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash) &* Self.slotsPerSet & (tags.count &- 1)
  }

  /// Of its last 32 characters, which are random to anyone without the key.
  @inline(__always)
  @_optimize(speed)
  private func hash(_ token: Span<UInt8>) -> UInt64 {
    guard let last = token.extracting(last: 32).fourWords else { return 0 }
    let first = (last.0 ^ seed.0).multipliedFullWidth(by: last.1 ^ seed.1)
    let mixed = first.high ^ first.low
    let second = (last.2 ^ mixed).multipliedFullWidth(by: last.3 ^ seed.0)
    return second.high ^ second.low
  }

  /// Never 0.
  private static func tag(_ token: Span<UInt8>, _ hash: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: hash >> 32) & ~0xff | UInt32(truncatingIfNeeded: token.count)
  }

  /// Takes four words at a time from the fronts of both spans: 6 instructions for each word instead of 57 with indices,
  /// whose bounds are checked.
  @inline(never)
  @_optimize(speed)
  private func isEqual(_ token: Span<UInt8>, at slot: Int) -> Bool {
    var stored = words.span.extracting(slot &* Self.wordsMax..<(slot &+ 1) &* Self.wordsMax)
    var (rest, difference) = (token, UInt64(0))
    while let four = rest.fourWords {
      let known = stored.extracting(0..<4)
      difference |= (four.0 ^ known[0]) | (four.1 ^ known[1]) | (four.2 ^ known[2]) | (four.3 ^ known[3])
      rest = rest.extracting(droppingFirst: 32)
      stored = stored.extracting(droppingFirst: 4)
    }
    var index = 0
    while let word = rest.firstWord {
      difference |= word ^ stored[index]
      rest = rest.extracting(droppingFirst: 8)
      index &+= 1
    }
    if !rest.isEmpty { difference |= token.wholeWord(at: token.count &- 8) ^ stored[index] }
    return difference == 0
  }

  /// Eight bytes of a token in each word; the last word holds its last eight bytes, as in `PackedBytes`.
  @_optimize(speed)
  private mutating func store(_ token: Span<UInt8>, at slot: Int) {
    var all = words.mutableSpan
    var stored = all._mutatingExtracting(slot &* Self.wordsMax..<(slot &+ 1) &* Self.wordsMax)
    var (rest, index) = (token, 0)
    while let four = rest.fourWords {
      (stored[index &+ 3], stored[index &+ 2], stored[index &+ 1], stored[index]) = (four.3, four.2, four.1, four.0)
      rest = rest.extracting(droppingFirst: 32)
      index &+= 4
    }
    while let word = rest.firstWord {
      stored[index] = word
      rest = rest.extracting(droppingFirst: 8)
      index &+= 1
    }
    if !rest.isEmpty { stored[index] = token.wholeWord(at: token.count &- 8) }
  }
}
