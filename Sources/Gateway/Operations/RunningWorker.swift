import Audit
import Dispatch
import Journal
import Reactor
import System
import Telemetry
import Upstream

/// The handle of a worker's thread.
struct RunningWorker: Sendable {
  let loop: LoopHandle
  let metrics = LoopMetrics()
  let mailbox = Mailbox()
  let ended = DispatchSemaphore(value: 0)
  let proof = TurnProof()
  /// Used for the first worker; also signalled when it ends.
  let listenersClosed = DispatchSemaphore(value: 0)

  func start(
    name: String, _ generation: Generation, _ gate: ConnectionGate, _ log: AccessLog?, _ journal: Journal?,
    _ reconciler: Reconciler?, _ audit: AuditLog?,
    _ grants: GrantRegistry, _ state: GatewayState, _ failedAddresses: FailedAddresses,
    listeners: [Reactor.Listener], sharedBy handles: [LoopHandle],
    report: @escaping @Sendable (String) -> Void
  ) {
    let first = Handoff(generation)
    startThread(named: name) { [self] in
      do throws(Errno) {
        let worker = try Worker(
          handle: loop, loops: handles.count, generation: first.take(), mailbox: mailbox, gate: gate,
          log: log?.makeBuffer(),
          journal: journal.flatMap { journal in
            reconciler.map { JournalPort(journal, state.records, $0) { [loop] in loop.wake() } }
          },
          audit: audit.map { AuditPort($0.makeChannel { [loop] in loop.wake() }) },
          grants: GrantPort(grants) { [loop] in loop.wake() },
          introspection: IntrospectionPort(state.introspection, metrics, report: report) { [loop] in loop.wake() },
          metrics: metrics, failedAddresses: failedAddresses, report: report)
        worker.run(listeners, sharedBy: handles)
        proof.end()
      } catch {
        report("\(name) cannot start: \(error)")
      }
      listenersClosed.signal()
      ended.signal()
    }
  }

  func askForTurn() {
    proof.ask { post(.prove(proof)) }
  }

  func post(_ message: Mailbox.Message) {
    mailbox.post(message)
    loop.wake()
  }
}
