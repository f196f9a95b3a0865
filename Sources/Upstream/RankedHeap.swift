/// The order in which something is served: lower ones first.
struct Rank: Comparable {
  var level: Int
  var order: Int

  static func < (first: Rank, second: Rank) -> Bool {
    first.level == second.level ? first.order < second.order : first.level < second.level
  }
}

/// Small numbers in the order of their ranks; each change takes O(log n).
struct RankedHeap: ~Copyable {
  private struct Entry {
    var rank: Rank
    var id: Int32
  }

  private var entries: [Entry] = []
  /// The index of each id in `entries`; -1: none.
  private var indices: [Int32] = []

  var isEmpty: Bool { entries.isEmpty }
  /// The id with the lowest rank.
  var first: Int32? { entries.first?.id }

  /// All ids, in no order.
  var ids: [Int32] { entries.map(\.id) }

  func rank(of id: Int32) -> Rank? {
    guard let index = index(of: id) else { return nil }
    return entries[index].rank
  }

  /// Inserts an id, or changes its rank.
  mutating func set(_ id: Int32, to rank: Rank) {
    if let index = index(of: id) {
      entries[index].rank = rank
      return settle(index)
    }
    while indices.count <= Int(id) { indices.append(-1) }
    entries.append(Entry(rank: rank, id: id))
    settle(entries.count - 1)
  }

  /// Removes an id if it is there.
  mutating func remove(_ id: Int32) {
    guard let index = index(of: id) else { return }
    indices[Int(id)] = -1
    let last = entries.removeLast()
    guard index < entries.count else { return }
    entries[index] = last
    settle(index)
  }

  private func index(of id: Int32) -> Int? {
    guard Int(id) < indices.count, indices[Int(id)] >= 0 else { return nil }
    return Int(indices[Int(id)])
  }

  private mutating func settle(_ start: Int) { Self.settle(start, &entries, &indices) }

  /// Moves an entry up or down to where it belongs.
  private static func settle(_ start: Int, _ entryArray: inout [Entry], _ indexArray: inout [Int32]) {
    var entries = entryArray.mutableSpan
    var indices = indexArray.mutableSpan
    let entry = entries[start]
    var index = start
    while index > 0, entry.rank < entries[(index - 1) / 2].rank {
      entries[index] = entries[(index - 1) / 2]
      indices[Int(entries[index].id)] = Int32(index)
      index = (index - 1) / 2
    }
    while 2 * index + 1 < entries.count {
      var child = 2 * index + 1
      if child + 1 < entries.count, entries[child + 1].rank < entries[child].rank { child += 1 }
      guard entries[child].rank < entry.rank else { break }
      entries[index] = entries[child]
      indices[Int(entries[index].id)] = Int32(index)
      index = child
    }
    entries[index] = entry
    indices[Int(entry.id)] = Int32(index)
  }
}
