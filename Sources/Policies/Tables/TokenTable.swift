package import Digests

/// Finds a token by its digest: open addressing over flat arrays, at most half full.
package struct TokenTable: Sendable {
  package struct Entry: Sendable {
    package let digest: Digest
    /// The place in `Policy.clients`.
    package let clientIndex: Int32
    /// nil: never.
    package let expiry: UnixSeconds?
  }

  /// In the order of the files; `tokenIndex` counts here.
  package let entries: [Entry]
  /// What the operator calls each token, ready for logs; empty without a note.
  package let notes: [[UInt8]]
  /// An index of `entries` plus 1; 0: empty.
  private let slots: [UInt32]

  /// The digests must be different from one another.
  init(_ entries: [Entry], notes: [[UInt8]]) {
    precondition(entries.count == notes.count)
    self.entries = entries
    self.notes = notes
    var slots = [UInt32](repeating: 0, count: slotCount(for: entries.count))
    for (index, entry) in entries.enumerated() {
      var slot = Int(truncatingIfNeeded: entry.digest.words.0) & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(index + 1)
    }
    self.slots = slots
  }

  /// The place in `entries` of the token with this digest. A caller cannot choose digests, so that the place where the
  /// search begins tells nothing; the comparison takes the same time wherever two digests differ.
  package func index(of digest: Digest) -> Int32? {
    var slot = Int(truncatingIfNeeded: digest.words.0) & (slots.count - 1)
    while slots[slot] != 0 {
      let index = Int(slots[slot]) - 1
      if entries[index].digest == digest { return Int32(truncatingIfNeeded: index) }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }
}

/// A power of two, at least twice the entries.
func slotCount(for entryCount: Int) -> Int {
  var count = 8
  while count < 2 * entryCount { count *= 2 }
  return count
}
