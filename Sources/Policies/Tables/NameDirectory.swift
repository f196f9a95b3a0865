/// Finds the index of a name by its bytes: a hash table with open addressing in flat arrays, at most half full.
package struct NameDirectory: Sendable {
  private struct Entry {
    /// The index of its first word.
    let start: UInt32
    let byteCount: UInt32
  }

  /// The words of all names, one after the other.
  private let words: [UInt64]
  private let entries: [Entry]
  /// An index in `entries` plus 1; 0: an empty slot.
  private let slots: [UInt32]

  /// - Parameter names: without duplicates, each of 1 to 64 bytes.
  init(_ names: [[UInt8]]) {
    var words: [UInt64] = []
    var entries: [Entry] = []
    var slots = [UInt32](repeating: 0, count: slotCount(for: names.count))
    for name in names {
      guard let name = PackedBytes(name.span) else { preconditionFailure("the name is empty or too long") }
      entries.append(Entry(start: UInt32(words.count), byteCount: UInt32(name.byteCount)))
      for index in 0..<name.wordCount { words.append(name.words[index]) }
      var slot = hash(name) & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(entries.count)
    }
    self.words = words
    self.entries = entries
    self.slots = slots
  }

  /// The index of this name in the list that the directory was made from; nil: none. The bytes may be any.
  @_optimize(speed)
  package func index(of bytes: Span<UInt8>) -> Int32? {
    guard let name = PackedBytes(bytes) else { return nil }
    let slots = slots.span
    var slot = hash(name) & (slots.count &- 1)
    while slots[slot] != 0 {
      let index = Int(slots[slot]) &- 1
      if isName(name, of: entries[index]) { return Int32(truncatingIfNeeded: index) }
      slot = (slot &+ 1) & (slots.count &- 1)
    }
    return nil
  }

  @inline(__always)
  private func isName(_ name: borrowing PackedBytes, of entry: Entry) -> Bool {
    guard Int(entry.byteCount) == name.byteCount else { return false }
    let stored = words.span.extracting(droppingFirst: Int(entry.start))
    for index in 0..<name.wordCount where stored[index] != name.words[index] { return false }
    return true
  }
}

@inline(__always)
private func hash(_ name: borrowing PackedBytes) -> Int {
  Int(truncatingIfNeeded: name.hash((0xcbf2_9ce4_8422_2325, 0x9e37_79b9_7f4a_7c15)))
}

/// A power of two, at least twice the entries.
private func slotCount(for entryCount: Int) -> Int {
  var count = 8
  while count < 2 * entryCount { count *= 2 }
  return count
}
