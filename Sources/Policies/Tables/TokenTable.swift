package import Digests

/// Finds a token by its digest: flat arrays, in which a search that has left the caches behind misses them once.
package struct TokenTable: Sendable {
  package struct Entry: Sendable {
    package let digest: Digest
    fileprivate var expirySeconds: Int64
    /// The place in `Policy.clients`; of a bound token that of its own row behind the clients.
    package fileprivate(set) var clientIndex: Int32
    /// Where its note is in the bytes of all notes, behind two bytes of its length.
    fileprivate let noteStart: UInt32

    /// It was revoked by itself: expired for as long as there is time.
    package var isRevoked: Bool { expirySeconds == .min }

    /// nil: never.
    package var expiry: UnixSeconds? { expirySeconds == .max ? nil : UnixSeconds(expirySeconds) }
  }

  /// In the order of their digests; `tokenIndex` counts here.
  package private(set) var entries: [Entry]
  let notes: [UInt8]
  /// Where the entries begin whose digests begin with the same bits, about two of them; small enough to stay in caches.
  private let starts: [UInt32]
  /// How many bits of a digest's first word do not count for that.
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

  /// The same with these tokens revoked, as far as it has them.
  func revoking(_ digests: some Sequence<Digest>) -> TokenTable {
    var table = self
    for digest in digests {
      if let index = index(of: digest) { table.entries[Int(index)].expirySeconds = .min }
    }
    return table
  }

  /// The place in `entries` of the token with this digest. A caller cannot choose digests, so that the place where the
  /// search begins tells nothing; the comparison takes the same time wherever two digests differ.
  package func index(of digest: Digest) -> Int32? {
    let first = Int(digest.words.0 >> shift)
    for index in Int(starts[first])..<Int(starts[first + 1]) where entries[index].digest == digest {
      return Int32(truncatingIfNeeded: index)
    }
    return nil
  }

  /// What the operator calls a token, ready for logs; empty without a note.
  package func note(of index: Int32) -> ArraySlice<UInt8> { notes[noteRange(of: index)] }

  /// Where its note stands in `notes`.
  func noteRange(of index: Int32) -> Range<Int> {
    let start = Int(entries[Int(index)].noteStart)
    return start + 2..<start + 2 + (Int(notes[start]) << 8 | Int(notes[start + 1]))
  }
}

/// The tokens of all files, in their order: what a table is made of.
struct TokenList {
  private(set) var entries: [TokenTable.Entry] = []
  /// The first one is empty, for all tokens without a note.
  fileprivate var notes: [UInt8] = [0, 0]
  private var places: [Digest: Int] = [:]

  /// Forgets all but the first `count` tokens.
  mutating func truncate(to count: Int) {
    guard count < entries.count else { return }
    let noteStarts = entries[count...].map(\.noteStart).filter { $0 > 0 }
    for entry in entries[count...] { places[entry.digest] = nil }
    entries.removeSubrange(count...)
    if let start = noteStarts.first { notes.removeSubrange(Int(start)...) }
  }

  /// The same with bindings in their rows: what counts from -1 downwards counts from `clientCount` upwards.
  func bound(behind clientCount: Int) -> TokenList {
    var list = self
    for index in entries.indices where entries[index].clientIndex < 0 {
      list.entries[index].clientIndex = Int32(clientCount) + ~entries[index].clientIndex
    }
    return list
  }

  /// Takes a token in unless there is one with the same digest, whose place it gives.
  ///
  /// - Parameter clientIndex: its client, or -1 downwards: its binding, until `bound` puts that in its row.
  mutating func insert(_ digest: Digest, clientIndex: Int32, expiry: UnixSeconds?, note: String?) -> Int? {
    if let place = places[digest] { return place }
    places[digest] = entries.count
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
  /// The same in memory of just its size; growing leaves up to half of it unused.
  func packed() -> [Element] {
    var copy: [Element] = []
    copy.reserveCapacity(count)
    copy += self
    return copy
  }
}
