import FoundationEssentials
import Gateway
import Glibc
import System

/// Replaces this process by a new one of the program at the same path, which takes over the listening sockets.
struct Upgrade {
  /// Found at the start, since the working directory and $PATH are those of the user who started it; nil: not found.
  private let program = ProgramPath.current
  private let log: (String) -> Void

  /// For a policy with 100,000 clients, a start takes seconds.
  private static let startMillisecondsMax = 60_000

  init(log: @escaping (String) -> Void) { self.log = log }

  /// Starts the new process and waits until it serves. Returns whether it does; otherwise nothing has changed.
  func replace(_ server: Server, _ service: ServiceManager) -> Bool {
    guard getpid() != 1 else { return fail("this is process 1, whose end ends its container; replace the container") }
    guard let program else { return fail("the program was not found in $PATH at the start; restart it by its path") }
    guard !server.hasPredecessor else {
      return fail(
        "the process before this one still drains, with idempotency keys in flight; try again when it has ended")
    }
    let variables = service.variablesForSuccessor
    do throws(Errno) {
      let successor = try Successor(
        program: program, arguments: Array(CommandLineArguments.all.dropFirst()),
        environment: ProcessInfo.processInfo.environment.merging(variables) { $1 },
        sockets: server.socketsForSuccessor, journalLock: server.journalLockForSuccessor)
      let process = successor.identifier
      log("upgrade: started \(program) as process \(process)")
      let outcome = successor.waitUntilReady(milliseconds: Self.startMillisecondsMax) { server.handOverKeys() }
      if outcome != .ready { server.takeKeysBack() }
      switch outcome {
      case .ready:
        log("upgrade: process \(process) serves")
        service.notifyReplaced(by: process)
        return true
      case .exited(let code):
        return fail("process \(process) did not start (exit code \(code)); see its messages above")
      case .signaled(let number): return fail("process \(process) was ended by signal \(number)")
      case .keysNotHandedOver:
        return fail("the journal of idempotency keys does not respond, or process \(process) did not take it")
      case .late: return fail("process \(process) did not serve within \(Self.startMillisecondsMax / 1_000) s")
      }
    } catch {
      return fail("cannot start \(program): \(error)")
    }
  }

  private func fail(_ reason: String) -> Bool {
    log("upgrade failed: \(reason); this process continues to serve")
    return false
  }
}
