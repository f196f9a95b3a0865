import Dispatch
import Synchronization
import System

/// The audit log: a thread that writes the loops' entries, makes each batch durable, and reports the results to the loops.
package final class AuditLog: Sendable {
  private let queue = AuditQueue()
  private let channels = Mutex<[AuditChannel]>([])
  private let published: Mutex<AuditState>
  private let isClosing = Atomic<Bool>(false)
  private let mustReopen = Atomic<Bool>(false)
  private let finished = DispatchSemaphore(value: 0)

  /// The interval between attempts to open a new file while there is none.
  private static let recoverySeconds = 1.0
  /// Twice the disk's time: with its own batch, an entry waits three times as long as the disk takes.
  private static let patienceMax: Int64 = 16
  /// How long outcomes wait to share a write with an intent.
  private static let outcomeSeconds = 0.1

  /// Opens the file, starts a chain in it, and starts the thread.
  ///
  /// - Parameters:
  ///   - path: the file to append to, created with mode 0640 if missing.
  ///   - key: the key of the chain; nil: plain SHA-256.
  ///   - report: called on the audit thread when the file fails and when a new one is in use.
  package init(
    path: String, key: [UInt8]?, report: @escaping @Sendable (String) -> Void
  ) throws(AuditFault) {
    let writer = try AuditWriter(path: path, chain: AuditChain(key: key), report: report)
    published = Mutex(writer.state)
    // Handed off so that only the thread holds the file, and a rotation closes it.
    let handed = Handoff(writer)
    startThread(named: "audit") { [self] in run(handed.take()) }
  }

  /// Makes a loop's channel to this log.
  ///
  /// - Parameter wakeLoop: called on the audit thread when intents are settled.
  package func makeChannel(wakeLoop: @escaping @Sendable () -> Void) -> AuditChannel {
    channels.withLock { channels in
      let channel = AuditChannel(number: channels.count, queue: queue, wakeLoop: wakeLoop)
      channels.append(channel)
      return channel
    }
  }

  /// The current state; callable on any thread.
  package var state: AuditState {
    var state = published.withLock { $0 }
    state.queueDepth = queue.depth
    state.lostOutcomes += queue.lostOutcomes
    return state
  }

  /// Hands over a reload, to be written soon; callable on any thread.
  ///
  /// - Returns: its number. Its entry is on the disk once `state.settledReloads` has reached this. nil: it is lost.
  package func record(_ reload: AuditReload) -> Int? {
    var members: [UInt8] = []
    reload.append(to: &members)
    return queue.append(.reload, members.span)
  }

  /// Continues in a new file after a rotation has moved the old one.
  package func reopen() {
    mustReopen.store(true, ordering: .releasing)
    queue.wakeUp()
  }

  /// Writes the remaining entries and the chain's end entry; false if this took too long. Call it after the loops have
  /// ended.
  @discardableResult
  package func close(within seconds: Double = 5) -> Bool {
    isClosing.store(true, ordering: .releasing)
    queue.close()
    queue.wakeUp()
    return finished.wait(timeout: .now() + seconds) == .success
  }

  // MARK: The thread

  private func run(_ opened: consuming AuditWriter) {
    var writer = opened
    var batch = AuditBatch()
    var pace = BatchPace(patienceMax: Self.patienceMax)
    var recoversAt: Int64 = 0
    var isLast = false
    while !isLast {
      waitForWork(writer.canWrite, &pace)
      isLast = isClosing.load(ordering: .acquiring)
      let mustReopen = mustReopen.exchange(false, ordering: .acquiring)
      if mustReopen { writer.rotate() }
      if !writer.canWrite, isLast || mustReopen || SystemClock.nanoseconds >= recoversAt {
        writer.recover()
        recoversAt = SystemClock.nanoseconds + Int64(Self.recoverySeconds * 1e9)
      }
      queue.take(&batch)
      let begin = SystemClock.nanoseconds
      let isDurable = batch.isEmpty || writer.write(batch, at: SystemClock.wallMicroseconds)
      queue.canWrite = writer.canWrite
      if isLast { writer.end(at: SystemClock.wallMicroseconds, lostOutcomes: state.lostOutcomes) }
      publish(writer)
      if batch.intents > 0 {
        settle(batch, isDurable)
        pace.wrote(batch.intents, waiting: queue.intents, in: SystemClock.nanoseconds - begin)
      }
      batch.removeAll()
    }
    finished.signal()
  }

  private func waitForWork(_ canWrite: Bool, _ pace: inout BatchPace) {
    guard canWrite else { return queue.sleep(atMost: Self.recoverySeconds) }
    // Outcomes follow intents: they need not wake the thread.
    if queue.wait(for: 1, atMost: Self.outcomeSeconds) == 0, queue.isEmpty, !isWanted {
      queue.wait(for: 1, orAny: true, atMost: nil)
      if !isWanted { queue.wait(for: 1, atMost: Self.outcomeSeconds) }
    }
    let intents = queue.intents
    guard intents > 0, !isWanted else { return }
    guard intents < pace.expected else { return pace.gathered(intents) }
    pace.gathered(queue.wait(for: pace.expected, atMost: Double(pace.nanoseconds) / 1e9))
  }

  /// Whether there is something to do besides entries.
  private var isWanted: Bool { mustReopen.load(ordering: .relaxed) || isClosing.load(ordering: .relaxed) }

  private func settle(_ batch: AuditBatch, _ isDurable: Bool) {
    let channels = channels.withLock { $0 }
    var completions = [[CompletionQueue<IntentResult>.Completion]](repeating: [], count: channels.count)
    let result: IntentResult = isDurable ? .durable : .failed
    for item in batch.items {
      guard let waiter = item.waiter else { continue }
      completions[waiter.channel].append(CompletionQueue.Completion(waiter.ticket, result))
    }
    for (channel, completions) in zip(channels, completions) { channel.completions.complete(completions) }
  }

  private func publish(_ writer: AuditWriter) {
    var state = writer.state
    state.canWrite = writer.canWrite
    state.lostOutcomes = writer.lostOutcomes
    published.withLock { $0 = state }
  }
}
