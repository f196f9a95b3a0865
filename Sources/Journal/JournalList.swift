import System

/// Lists keys for operators, on a thread that no request waits for.
struct JournalList: Sendable {
  let client: String?
  let instance: String?
  let states: Set<JournalKey.State>
  let limit: Int

  private struct Selection: Sendable {
    var inFlight: [JournalKey] = []
    var entries: [KeyIndex.Entry] = []
    /// Of `entries`, those in flight in the process before this one.
    var inherited: Set<KeyLocation> = []
    var isComplete = true
  }

  /// - Returns: the keys, and whether these are all.
  func run(_ keys: JournalKeys, _ segments: [JournalSegment], _ folder: SharedFolder) -> ([JournalKey], Bool) {
    let selection = select(keys)
    // In the order of the files.
    let entries = selection.entries.sorted {
      ($0.location.segment, $0.location.offset) < ($1.location.segment, $1.location.offset)
    }
    var reader = RecordReader(folder, JournalFaults())
    let onDisk = entries.map { entry in
      let stored = segments.first { $0.id == entry.location.segment }.flatMap { segment in
        (try? reader.record(of: nil, in: segment, at: Int(entry.location.offset))).flatMap(\.self)
      }
      guard let stored else { return keys.withLock { table in JournalKey(unreadable: entry, table.scopes) } }
      var key = JournalKey(stored)
      if selection.inherited.contains(entry.location) { key.state = .inFlight }
      return key
    }
    return (selection.inFlight + onDisk, selection.isComplete)
  }

  private func select(_ keys: JournalKeys) -> Selection {
    let (scopes, inFlight) = keys.withLock { table in
      let scopes = table.scopes.matching(client: client, instance: instance)
      let inFlight =
        states.contains(.inFlight)
        ? table.inFlight.values.lazy.filter { scopes.contains($0.scope) }.prefix(limit + 1).map { JournalKey($0) } : []
      return (scopes, Array(inFlight))
    }
    var selection = Selection(inFlight: inFlight)
    let wanted = Set(states.compactMap(\.indexState))
    let inherited = keys.withLock { table in
      Set(table.inherited.keys.compactMap { table.index[table.index.name(of: $0)]?.location })
    }
    selection.inherited = inherited
    for shard in 0..<KeyIndex.shardCount where selection.entries.count + selection.inFlight.count <= limit {
      selection.entries += keys.withLock { table in
        var found: [KeyIndex.Entry] = []
        table.index.forEach(inShard: shard) { _, entry in
          let isWanted =
            inherited.contains(entry.location) ? states.contains(.inFlight) : wanted.contains(entry.state)
          if isWanted, scopes.contains(entry.scope) { found.append(entry) }
        }
        return found
      }
    }
    selection.isComplete = selection.inFlight.count + selection.entries.count <= limit
    selection.inFlight = Array(selection.inFlight.prefix(limit))
    selection.entries = Array(selection.entries.prefix(limit - selection.inFlight.count))
    return selection
  }
}

extension JournalKey.State {
  fileprivate var indexState: KeyIndex.State? {
    switch self {
    case .unknown: .unknown
    case .stored: .stored
    case .notKept: .notKept
    case .inFlight, .unreadable: nil
    }
  }
}
