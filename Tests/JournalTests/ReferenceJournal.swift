@testable import Journal

/// What a journal may answer: for each key, the states that it can be in.
///
/// A key has more than one possible state only after a fault, and after a crash with work that was not awaited.
struct ReferenceJournal {
  enum State: Equatable {
    case free
    case inFlight(KeyedWrite)
    case unknown(KeyedWrite)
    case stored(KeyedWrite, StoredResponse)
    case notKept(KeyedWrite, Int)

    static func == (left: State, right: State) -> Bool {
      switch (left, right) {
      case (.free, .free): true
      case (.inFlight(let left), .inFlight(let right)), (.unknown(let left), .unknown(let right)):
        left.requestIDLow == right.requestIDLow
      case (.stored(let left, let response), .stored(let right, let other)):
        left.requestIDLow == right.requestIDLow && response == other
      case (.notKept(let left, let status), .notKept(let right, let other)):
        left.requestIDLow == right.requestIDLow && status == other
      default: false
      }
    }

    /// What a later process makes of it.
    var afterRestart: State {
      if case .inFlight(let write) = self { return .unknown(write) }
      return self
    }

    /// The write that the state is of.
    var write: KeyedWrite? {
      switch self {
      case .free: nil
      case .inFlight(let write), .unknown(let write), .stored(let write, _), .notKept(let write, _): write
      }
    }

    /// The answer to a claim; nil: the claim is accepted.
    func answer(to claim: KeyedWrite) -> Answer? {
      guard let write else { return nil }
      guard write.fingerprint == claim.fingerprint else { return .reused }
      return switch self {
      case .free: nil
      case .inFlight: .inProgress
      case .unknown: .unknown(write.requestIDLow)
      case .stored(_, let response): .stored(response)
      case .notKept(_, let status): .notKept(status: status, write.requestIDLow)
      }
    }
  }

  struct Key {
    var now: [State] = [.free]
    /// What a later process may find besides; empty: what this process knows.
    var later: [State] = []
    /// When the state was set, in seconds. Expired keys may be free.
    var since = 0
  }

  var keys: [String: Key] = [:]

  mutating func set(_ key: String, _ state: State, later: [State] = [], at time: Int) {
    keys[key] = Key(now: [state], later: later, since: time)
  }

  mutating func restart() {
    for key in keys.keys {
      let states = ((keys[key]?.now ?? []) + (keys[key]?.later ?? [])).map(\.afterRestart)
      keys[key]?.now = states
      keys[key]?.later = []
    }
  }

  /// Known keys may be free once they are older than the TTL.
  mutating func expire(at time: Int, ttl: Int) {
    for (key, value) in keys where time - value.since > ttl {
      let isKept = { (state: State) in
        switch state {
        case .free, .inFlight, .unknown: true
        case .stored, .notKept: false
        }
      }
      if !value.now.allSatisfy(isKept) { keys[key]?.now.append(.free) }
    }
  }

  subscript(key: String) -> Key { keys[key] ?? Key() }
}
