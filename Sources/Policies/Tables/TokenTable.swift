package import Digests

/// Finds a token by its digest in flat arrays; a search in a table larger than the caches costs one cache miss.
package struct TokenTable: Sendable {
  package struct Entry: Sendable {
    package let digest: Digest
    fileprivate var expirySeconds: Int64
    /// The index in `Policy.clients`; for a bound token, its row after the clients.
    package fileprivate(set) var clientIndex: Int32
    /// The offset of its note in `notes`: two bytes of length, then the text.
    fileprivate let noteStart: UInt32

    /// Whether the token itself is revoked, not its client; stored as an expiry before all times.
    package var isRevoked: Bool { expirySeconds == .min }

    /// Whether it has expired or is revoked.
    @inline(__always)
    func hasEnded(at now: UnixSeconds) -> Bool { expirySeconds != .max && expirySeconds <= now.rawValue }

    /// nil: never.
    package var expiry: UnixSeconds? { expirySeconds == .max ? nil : UnixSeconds(expirySeconds) }
  }

  /// In the order of their digests; `tokenIndex` is an index in it.
  package private(set) var entries: [Entry]
  let notes: [UInt8]
  /// The index of the first entry of each bucket. A bucket has the digests with the same leading bits, about two; the
  /// array is small enough to stay in the caches.
  private let starts: [UInt32]
  /// How many low bits of a digest's first word do not select the bucket.
  private let shift: UInt64

  init(_ list: TokenList) {
    entries = list.entries.sorted { left, right in left.digest.words.0 < right.digest.words.0 }.packed()
    notes = list.notes.packed()
    var bits: UInt64 = 1
    while 1 << bits < entries.count / 2 { bits += 1 }
    shift = 64 - bits
    var starts = [UInt32](repeating: 0, count: 1 << bits + 1)
    for entry in entries { starts[Int(entry.digest.words.0 >> shift) + 1] += 1 }
    for index in 1..<starts.count { starts[index] += starts[index - 1] }
    self.starts = starts
  }

  /// A copy with these tokens revoked; ignores digests that are not in it.
  func revoking(_ digests: some Sequence<Digest>) -> TokenTable {
    var table = self
    for digest in digests {
      if let index = index(of: digest) { table.entries[Int(index)].expirySeconds = .min }
    }
    return table
  }

  /// The index in `entries` of the token with this digest; nil: none. The time reveals nothing about other tokens:
  /// callers cannot choose digests, and a comparison takes the same time wherever two digests differ.
  package func index(of digest: Digest) -> Int32? {
    let first = Int(digest.words.0 >> shift)
    for index in Int(starts[first])..<Int(starts[first + 1]) where entries[index].digest == digest {
      return Int32(truncatingIfNeeded: index)
    }
    return nil
  }

  /// The note of a token, for logs; empty: none.
  package func note(of index: Int32) -> ArraySlice<UInt8> { notes[noteRange(of: index)] }

  /// The range of its note in `notes`.
  func noteRange(of index: Int32) -> Range<Int> {
    let start = Int(entries[Int(index)].noteStart)
    return start + 2..<start + 2 + (Int(notes[start]) << 8 | Int(notes[start + 1]))
  }
}

/// The tokens of all files in file order, from which a table is made.
struct TokenList {
  private(set) var entries: [TokenTable.Entry] = []
  /// The first note is empty, for all tokens without one.
  fileprivate var notes: [UInt8] = [0, 0]
  private var indices: [Digest: Int] = [:]

  /// Prepares for this many tokens more.
  mutating func reserve(_ more: Int) { indices.reserveCapacity(indices.count + more) }

  /// Removes all but the first `count` tokens.
  mutating func truncate(to count: Int) {
    guard count < entries.count else { return }
    let noteStarts = entries[count...].map(\.noteStart).filter { $0 > 0 }
    for entry in entries[count...] { indices[entry.digest] = nil }
    entries.removeSubrange(count...)
    if let start = noteStarts.first { notes.removeSubrange(Int(start)...) }
  }

  /// A copy with the final rows of bound tokens: -1, -2, … become `clientCount`, `clientCount` + 1, ….
  func bound(after clientCount: Int) -> TokenList {
    var list = self
    for index in entries.indices where entries[index].clientIndex < 0 {
      list.entries[index].clientIndex = Int32(clientCount) + ~entries[index].clientIndex
    }
    return list
  }

  /// Appends a token, unless the list has one with the same digest: then returns the index of that one.
  ///
  /// - Parameter clientIndex: of its client; for bound tokens -1, -2, … in turn, until `bound` replaces these.
  mutating func insert(_ digest: Digest, clientIndex: Int32, expiry: UnixSeconds?, note: String?) -> Int? {
    if let index = indices.updateValue(entries.count, forKey: digest) {
      indices[digest] = index
      return index
    }
    var noteStart = 0
    if let note {
      noteStart = notes.count
      let length = note.utf8.count
      notes += [UInt8(length >> 8), UInt8(length & 0xff)]
      notes += note.utf8
    }
    entries.append(
      TokenTable.Entry(
        digest: digest, expirySeconds: expiry?.rawValue ?? .max, clientIndex: clientIndex,
        noteStart: UInt32(noteStart)))
    return nil
  }
}

extension Array {
  /// A copy without spare capacity; growth leaves up to half of the memory unused.
  func packed() -> [Element] {
    var copy: [Element] = []
    copy.reserveCapacity(count)
    copy += self
    return copy
  }
}
