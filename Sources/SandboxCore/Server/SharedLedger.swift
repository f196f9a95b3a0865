import Synchronization

/// The ledger of a server, and the faults planned for its next writes: used by the server's loop and by tests.
final class SharedLedger: Sendable {
  enum Outcome {
    case answer(SandboxResponse)
    /// Close the connection without a response.
    case close
    /// Send nothing and keep the connection open.
    case silence
  }

  private struct State {
    var ledger: SandboxLedger
    /// For the next writes, in their order.
    var faults: ArraySlice<SandboxFault> = []
    /// Received and not yet executed.
    var late: [SandboxRequest] = []
  }

  private let state: Mutex<State>

  init(_ ledger: SandboxLedger) { state = Mutex(State(ledger: ledger)) }

  var executions: [SandboxExecution: Int] { state.withLock(\.ledger.executions) }

  func failNextWrites(_ faults: [SandboxFault]) { state.withLock { $0.faults += faults } }

  func executeLateWrites() {
    state.withLock { state in
      for request in state.late { _ = state.ledger.answer(request) }
      state.late = []
      state.ledger.runQueue()
    }
  }

  func respond(to request: SandboxRequest) -> Outcome {
    state.withLock { state in
      guard request.isWrite, let fault = state.faults.popFirst() else {
        return .answer(state.ledger.answer(request))
      }
      if let error = fault.error { return .answer(error.response) }
      switch fault {
      case .responseLost:
        _ = state.ledger.answer(request)
        return .close
      case .responseStalled:
        _ = state.ledger.answer(request)
        return .silence
      case .executedLate:
        state.late.append(request)
        return .silence
      case .locked, .rateLimited, .queuedLate: return .answer(state.ledger.answer(request, runsQueue: false))
      }
    }
  }
}

extension SandboxRequest {
  fileprivate var isWrite: Bool { ["POST", "PUT", "DELETE"].contains(method) }
}
