package import Digests

/// Finds a token by its digest: open addressing over flat arrays, at most half full.
package struct TokenTable: Sendable {
  package struct Entry: Sendable {
    package let digest: Digest
    fileprivate let expirySeconds: Int64
    /// The place in `Policy.clients`.
    package let clientIndex: Int32
    /// Where its note ends in the bytes of all notes; it begins where the one before ends.
    fileprivate let noteEnd: UInt32

    /// nil: never.
    package var expiry: UnixSeconds? { expirySeconds == .max ? nil : UnixSeconds(expirySeconds) }
  }

  /// In the order of the files; `tokenIndex` counts here.
  package private(set) var entries: [Entry] = []
  private var notes: [UInt8] = []
  /// An index of `entries` plus 1; 0: empty.
  private var slots: [UInt32] = [0, 0]

  /// Takes a token in unless there is one with the same digest, whose place it gives.
  mutating func insert(_ digest: Digest, clientIndex: Int32, expiry: UnixSeconds?, note: String) -> Int32? {
    if let index = index(of: digest) { return index }
    notes += note.utf8
    entries.append(
      Entry(
        digest: digest, expirySeconds: expiry?.rawValue ?? .max, clientIndex: clientIndex,
        noteEnd: UInt32(notes.count)))
    if 2 * entries.count > slots.count {
      slots = [UInt32](repeating: 0, count: 2 * slots.count)
      for index in entries.indices { fillSlot(for: index) }
    } else {
      fillSlot(for: entries.count - 1)
    }
    return nil
  }

  private mutating func fillSlot(for index: Int) {
    var slot = firstSlot(of: entries[index].digest)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = UInt32(index + 1)
  }

  private func firstSlot(of digest: Digest) -> Int { Int(truncatingIfNeeded: digest.words.0) & (slots.count - 1) }

  /// The place in `entries` of the token with this digest. A caller cannot choose digests, so that the place where the
  /// search begins tells nothing; the comparison takes the same time wherever two digests differ.
  package func index(of digest: Digest) -> Int32? {
    var slot = firstSlot(of: digest)
    while slots[slot] != 0 {
      let index = Int(slots[slot]) - 1
      if entries[index].digest == digest { return Int32(truncatingIfNeeded: index) }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// What the operator calls a token, ready for logs; empty without a note.
  package func note(of index: Int32) -> ArraySlice<UInt8> {
    let start = index == 0 ? 0 : entries[Int(index) - 1].noteEnd
    return notes[Int(start)..<Int(entries[Int(index)].noteEnd)]
  }

  /// The same without room to grow.
  consuming func packed() -> TokenTable {
    entries = entries.packed()
    notes = notes.packed()
    return self
  }
}

extension Array {
  /// The same in memory of just its size; growing leaves up to half of it unused.
  func packed() -> [Element] {
    var copy: [Element] = []
    copy.reserveCapacity(count)
    copy += self
    return copy
  }
}

/// A power of two, at least twice the entries.
func slotCount(for entryCount: Int) -> Int {
  var count = 8
  while count < 2 * entryCount { count *= 2 }
  return count
}
