/// Which of the writers of a log are gone, as far as its entries tell, read in their order.
package struct AuditWriters {
  package enum State: String, Sendable {
    /// It runs, or was killed and nothing has started since.
    case open = "still_open"
    /// It has no end entry, and a process has started since its last entry.
    case killed
    /// It ended in order.
    case ended
  }

  private var states: [UInt64: State] = [:]
  /// The next chain of the same process, after it gave up a file.
  private var successors: [UInt64: UInt64] = [:]
  private var open: Set<UInt64> = []

  package init() {}

  package mutating func read(_ entry: AuditEntry) {
    let isNew = states[entry.writer] == nil
    if entry.kind == .start, isNew {
      switch entry.reason {
      // Who shares the log and is alive writes again, and is taken back.
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
    // A forged log could lead in a circle.
    for _ in 0..<successors.count {
      guard let next = successors[writer] else { break }
      writer = next
    }
    return states[writer] ?? .open
  }
}
