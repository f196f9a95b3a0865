/// The state of each writer of a log, as far as its entries, read in order, show.
package struct AuditWriters {
  package enum State: String, Sendable {
    /// The writer is running, or was killed and no process has started since.
    case open = "still_open"
    /// The writer has no end entry, and a process has started since its last entry.
    case killed
    /// The writer ended normally.
    case ended
  }

  private var states: [UInt64: State] = [:]
  /// The next chain of the same process, after it abandoned a file.
  private var successors: [UInt64: UInt64] = [:]
  private var open: Set<UInt64> = []

  package init() {}

  package mutating func read(_ entry: AuditEntry) {
    let isNew = states[entry.writer] == nil
    if entry.kind == .start, isNew {
      switch entry.reason {
      // A live writer that shares the log is set back to open by its next entry.
      case .process: for writer in open { states[writer] = .killed }
      case .recovery: if let previous = entry.previous { successors[previous.writer] = entry.writer }
      case .rotation, nil: break
      }
    }
    if entry.kind == .end {
      states[entry.writer] = .ended
      open.remove(entry.writer)
    } else if isNew || states[entry.writer] != .open {
      states[entry.writer] = .open
      open.insert(entry.writer)
    }
  }

  package func state(of writer: UInt64) -> State {
    var writer = writer
    // Bounded: a forged log could contain a cycle.
    for _ in 0..<successors.count {
      guard let next = successors[writer] else { break }
      writer = next
    }
    return states[writer] ?? .open
  }
}
