import Digests

/// Where a key's record is: a segment of this process's table, and the offset in it.
struct KeyLocation: Hashable, Sendable {
  var segment: UInt32
  var offset: UInt32
}

/// The keys whose records are on disk, 24 bytes each, in 256 open-addressing tables, so that one grows in less than a
/// millisecond.
///
/// A key is known by 96 bits, mixed from its digest and random numbers of this process: a client cannot search for keys
/// that share them. The record has the whole digest.
struct KeyIndex: Sendable {
  enum State: UInt8, CaseIterable {
    /// A claim without an outcome, whose request is not in flight.
    case unknown = 1
    case stored
    case notKept
  }

  struct Entry: Equatable, Sendable {
    var state: State
    var location: KeyLocation
    /// The number of client and instance, below `scopesMax`.
    var scope: Int
  }

  /// What identifies a key in the index.
  struct Name: Hashable, Sendable {
    fileprivate(set) var high: UInt64
    fileprivate(set) var low: UInt32
  }

  static let scopesMax = 1 << 24

  private struct Slot {
    var high: UInt64 = 0
    var low: UInt32 = 0
    var segment: UInt32 = 0
    var offset: UInt32 = 0
    /// The scope in 24 bits, then the state; 0: the slot is empty.
    var scopeAndState: UInt32 = 0

    var isEmpty: Bool { scopeAndState == 0 }
    var name: Name { Name(high: high, low: low) }

    var entry: Entry? {
      State(rawValue: UInt8(truncatingIfNeeded: scopeAndState)).map { state in
        Entry(state: state, location: KeyLocation(segment: segment, offset: offset), scope: Int(scopeAndState >> 8))
      }
    }

    mutating func set(_ entry: Entry) {
      (segment, offset) = (entry.location.segment, entry.location.offset)
      scopeAndState = UInt32(entry.scope) << 8 | UInt32(entry.state.rawValue)
    }
  }

  private struct Shard {
    var slots: [Slot] = []
    var count = 0

    func position(of name: Name) -> Int? {
      guard !slots.isEmpty else { return nil }
      var position = KeyIndex.home(name.high, slots.count)
      while !slots[position].isEmpty {
        if slots[position].high == name.high, slots[position].low == name.low { return position }
        position = position &+ 1 == slots.count ? 0 : position &+ 1
      }
      return nil
    }

    /// Puts a slot where there is none of its name.
    mutating func put(_ slot: Slot) {
      var position = KeyIndex.home(slot.high, slots.count)
      while !slots[position].isEmpty { position = position &+ 1 == slots.count ? 0 : position &+ 1 }
      slots[position] = slot
    }
  }

  static let shardCount = 256
  private static let slotsMin = 8

  private var shards = [Shard](repeating: Shard(), count: shardCount)
  /// Two multilinear functions of the digest's words (Lemire and Kaser, 2014).
  private let factors: [UInt128]
  private var counts = [Int](repeating: 0, count: State.allCases.count + 1)

  init() {
    factors = (0..<10).map { _ in .random(in: .min ... .max) }
  }

  /// The number of keys.
  var count: Int { counts[0] }

  func count(_ state: State) -> Int { counts[Int(state.rawValue)] }

  var slotBytes: Int { shards.reduce(0) { bytes, shard in bytes + shard.slots.capacity * MemoryLayout<Slot>.stride } }

  func name(of digest: Digest) -> Name {
    Name(high: mixed(digest, 0), low: UInt32(truncatingIfNeeded: mixed(digest, 5) >> 32))
  }

  private func mixed(_ digest: Digest, _ first: Int) -> UInt64 {
    let words = digest.words
    var sum = factors[first]
    sum &+= factors[first &+ 1] &* UInt128(words.0)
    sum &+= factors[first &+ 2] &* UInt128(words.1)
    sum &+= factors[first &+ 3] &* UInt128(words.2)
    sum &+= factors[first &+ 4] &* UInt128(words.3)
    return UInt64(truncatingIfNeeded: sum >> 64)
  }

  subscript(name: Name) -> Entry? {
    let shard = Self.shard(of: name)
    return shards[shard].position(of: name).flatMap { shards[shard].slots[$0].entry }
  }

  mutating func set(_ digest: Digest, _ state: State, _ location: KeyLocation, _ scope: Int) {
    set(name(of: digest), Entry(state: state, location: location, scope: scope))
  }

  /// Adds a key or replaces its entry.
  mutating func set(_ name: Name, _ entry: Entry) {
    let shard = Self.shard(of: name)
    if let position = shards[shard].position(of: name) { return replace(position, in: shard, entry) }
    // At most 0.8 of the slots are in use.
    if (shards[shard].count + 1) * 5 > shards[shard].slots.count * 4 { grow(shard) }
    var slot = Slot(high: name.high, low: name.low)
    slot.set(entry)
    shards[shard].put(slot)
    shards[shard].count += 1
    counts[0] += 1
    counts[Int(entry.state.rawValue)] += 1
  }

  /// Replaces state and location of a known key; false if the key is not known.
  mutating func update(_ name: Name, _ state: State, _ location: KeyLocation) -> Bool {
    let shard = Self.shard(of: name)
    guard let position = shards[shard].position(of: name), var entry = shards[shard].slots[position].entry else {
      return false
    }
    (entry.state, entry.location) = (state, location)
    replace(position, in: shard, entry)
    return true
  }

  private mutating func replace(_ position: Int, in shard: Int, _ entry: Entry) {
    if let old = shards[shard].slots[position].entry { counts[Int(old.state.rawValue)] -= 1 }
    shards[shard].slots[position].set(entry)
    counts[Int(entry.state.rawValue)] += 1
  }

  @discardableResult
  mutating func remove(_ name: Name) -> Entry? {
    let shard = Self.shard(of: name)
    guard let position = shards[shard].position(of: name) else { return nil }
    return remove(at: position, in: shard)
  }

  /// Calls `body` with every key of a shard.
  func forEach(inShard shard: Int, _ body: (Name, Entry) -> Void) {
    for slot in shards[shard].slots {
      if let entry = slot.entry { body(slot.name, entry) }
    }
  }

  // MARK: Slots

  private static func shard(of name: Name) -> Int { Int(name.high >> 56) }

  /// The slot where the search for a name starts.
  fileprivate static func home(_ high: UInt64, _ count: Int) -> Int {
    Int((high << 8).multipliedFullWidth(by: UInt64(count)).high)
  }

  private mutating func grow(_ shard: Int) {
    let old = shards[shard].slots
    let count = max(old.count + Self.slotsMin, old.count * 5 / 4)
    shards[shard].slots = [Slot](repeating: Slot(), count: count)
    for slot in old where !slot.isEmpty { shards[shard].put(slot) }
  }

  /// Empties a slot, and moves back each later slot that would no longer be found.
  private mutating func remove(at position: Int, in shard: Int) -> Entry? {
    let removed = shards[shard].slots[position].entry
    let count = shards[shard].slots.count
    var (hole, next) = (position, position)
    while true {
      next = next + 1 == count ? 0 : next + 1
      let slot = shards[shard].slots[next]
      guard !slot.isEmpty else { break }
      let home = Self.home(slot.high, count)
      let staysFound = hole <= next ? hole < home && home <= next : hole < home || home <= next
      if staysFound { continue }
      shards[shard].slots[hole] = slot
      hole = next
    }
    shards[shard].slots[hole] = Slot()
    shards[shard].count -= 1
    counts[0] -= 1
    if let removed { counts[Int(removed.state.rawValue)] -= 1 }
    return removed
  }
}
