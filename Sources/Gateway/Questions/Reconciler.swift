import Background
import Dispatch
import HTTP1
import Journal
import Policies
import Synchronization

/// A keyed write that was sent to an instance that is asked for results, with what the question needs.
final class AskableWrite: Sendable {
  let write: KeyedWrite
  let method: Method
  /// As Core gets it.
  let path: [UInt8]
  let body: [UInt8]
  let since: UnixSeconds

  init(_ write: KeyedWrite, _ method: Method, path: [UInt8], body: [UInt8], since: UnixSeconds) {
    self.write = write
    self.method = method
    self.path = path
    self.body = body
    self.since = since
  }
}

/// Asks Core in the background about keyed writes whose response was lost, until Core has an answer.
///
/// Holds them in memory only: after a restart, the next repeat asks. Bound: `writesMax` writes, `bodyBytesMax` bytes of
/// them together, and `attempts` questions about each, over about an hour.
final class Reconciler: Sendable {
  private struct Entry {
    let write: AskableWrite
    var attempts = 0
    var dueAt = DispatchTime.now()
  }

  private struct Work {
    var entries: [Entry] = []
    var bodyBytes = 0
    var isScheduled = false
  }

  private static let writesMax = 1_024
  private static let bodyBytesMax = 16 << 20
  private static let attemptsMax = 64
  /// Per second, so that repeats and operators find a place in the queue of questions.
  private static let questionsMax = 16
  private static let pauseSecondsMax = 60

  private let journal: Journal
  private let records: RecordClient
  private let generation: @Sendable () -> Generation
  private let work = Mutex(Work())
  private let clock = DispatchQueue(label: "reconcile")

  init(_ journal: Journal, _ records: RecordClient, generation: @escaping @Sendable () -> Generation) {
    self.journal = journal
    self.records = records
    self.generation = generation
  }

  /// The outcome of a write is unknown from now on. If there are too many, only its repeats ask.
  func add(_ write: AskableWrite) {
    var entry = Entry(write: write)
    entry.dueAt = .now() + 1
    add(entry)
  }

  private func add(_ entry: Entry) {
    let mustSchedule = work.withLock { work in
      let bytes = work.bodyBytes + entry.write.body.count
      guard work.entries.count < Self.writesMax, bytes <= Self.bodyBytesMax else { return false }
      work.entries.append(entry)
      work.bodyBytes = bytes
      defer { work.isScheduled = true }
      return !work.isScheduled
    }
    if mustSchedule { schedule() }
  }

  private func schedule() { clock.asyncAfter(deadline: .now() + 1) { [self] in askDue() } }

  private func askDue() {
    let (due, hasMore) = work.withLock { work in
      let now = DispatchTime.now()
      var due: [Entry] = []
      work.entries.removeAll { entry in
        guard entry.dueAt <= now, due.count < Self.questionsMax else { return false }
        due.append(entry)
        return true
      }
      work.bodyBytes -= due.reduce(0) { $0 + $1.write.body.count }
      work.isScheduled = !work.entries.isEmpty
      return (due, work.isScheduled)
    }
    if hasMore { schedule() }
    for entry in due { ask(entry) }
  }

  private func ask(_ entry: Entry) {
    let write = entry.write
    // A repeat or an operator may have been faster.
    guard journal.isUnknown(write.write) else { return }
    let path = write.path
    let reconciliation = Reconciliation(write.method, path: path.span, body: write.body, since: write.since)
    let generation = generation()
    guard let reconciliation, let instance = generation.instance(write.write.instance), instance.reconciles else {
      return
    }
    guard let endpoint = generation.records(of: write.write.instance) else { return addAgain(entry) }
    reconciliation.ask(records, endpoint) { [self] result in
      switch result {
      case .done(let status, let body):
        guard body.count <= generation.policy.settings.idempotency?.responseBytesMax ?? 0 else { return }
        let (high, low) = (write.write.requestIDHigh, write.write.requestIDLow)
        // If it is not stored, the next repeat asks Core again.
        journal.reconcile(write.write, .reconstructed(status, body, high, low)) { _ in }
      case .differs: break
      case .unclear: addAgain(entry)
      }
    }
  }

  private func addAgain(_ entry: Entry) {
    var entry = entry
    entry.attempts += 1
    guard entry.attempts < Self.attemptsMax else { return }
    entry.dueAt = .now() + .seconds(min(1 << min(entry.attempts, 6), Self.pauseSecondsMax))
    add(entry)
  }
}

extension StoredResponse {
  /// Core's record, as the response to the request with this id.
  static func reconstructed(_ status: Int, _ body: [UInt8], _ high: UInt64, _ low: UInt64) -> StoredResponse {
    StoredResponse(
      reconstructed: status, fields: Array("Content-Type: application/json; charset=utf-8\r\n".utf8), body: body,
      requestIDHigh: high, requestIDLow: low)
  }
}
