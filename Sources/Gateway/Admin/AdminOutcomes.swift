import Audit
import Background
import Dispatch
import OAuth
import Policies
import Synchronization
import System

/// The page of the admin endpoint that asks Core about one write, `/outcome`: POST only.
///
/// The first request starts the question and gets 202, as do further ones until Core has answered; then one gets the
/// outcome, which is in the audit log by then if it settles the write. So a Core that hangs delays no probe.
final class AdminOutcomes {
  private let audit: CommandAudit
  private let records: RecordClient
  private let generation: @Sendable () -> Generation
  private let asked = AskedOutcomes()

  private static let seconds = 10.0

  init(_ audit: CommandAudit, _ records: RecordClient, generation: @escaping @Sendable () -> Generation) {
    self.audit = audit
    self.records = records
    self.generation = generation
  }

  /// - Parameter body: a form with `request_id`, `instance`, `user`, and the parameters of `OutcomeQuestion`.
  func answer(_ body: [UInt8]) -> AdminAnswer {
    do throws(FormFault) {
      return answer(try FormBody(body.span))
    } catch {
      return .line(400, "The form is malformed.")
    }
  }

  private func answer(_ form: FormBody) -> AdminAnswer {
    guard let request = form["request_id"].flatMap(AuditRequestID.init), let instance = form["instance"],
      let question = OutcomeQuestion(form)
    else { return .line(400, "request_id, instance, subject, name or since is missing or malformed.") }
    guard audit.canWrite else {
      return .line(503, "The audit log cannot be written, so Core is not asked; see the gateway's log.")
    }
    switch asked.take(request, now: SystemClock.nanoseconds) {
    case .new: break
    case .asking: return .line(202, "asking")
    case .full: return .line(503, "Too many questions at once.")
    case .answered(let outcome): return .json(recorded(outcome, of: request, form))
    }
    guard let endpoint = generation().records(of: instance) else {
      asked.answered(request, .unknown("the instance is unknown, unhealthy, or does not answer: it was not asked"))
      return .line(202, "asking")
    }
    ask(question, endpoint, request)
    return .line(202, "asking")
  }

  private func ask(_ question: OutcomeQuestion, _ endpoint: RecordEndpoint, _ request: AuditRequestID) {
    let deadline = DispatchTime.now() + Self.seconds
    records.read(question.path, of: endpoint, isFresh: question.isProvedByAbsence, until: deadline) {
      [asked, records] reply in
      switch question.answer(reply) {
      case .settled(let outcome): asked.answered(request, outcome)
      case .queued(let id, let status):
        records.read(question.executionPath, of: endpoint, until: deadline) { reply in
          asked.answered(request, question.answer(reply, ofQueued: id, status: status))
        }
      }
    }
  }

  /// Writes an outcome that settles the write to the audit log.
  private func recorded(_ outcome: AskedOutcome, of request: AuditRequestID, _ form: FormBody) -> [UInt8] {
    var isRecorded = false
    if let kind = outcome.outcome.settled {
      var entry = AuditCommand("audit outcomes --ask", settling: request, as: kind)
      for (name, value) in [
        ("instance", form["instance"]), (form["subject"] ?? "", form["name"]), ("id", outcome.id),
        ("execution_id", outcome.executionId), ("core_status", outcome.status), ("user", form["user"]),
      ] {
        if let value { entry.members.append((name, value)) }
      }
      isRecorded = audit.record(entry)
    }
    return outcome.json(recorded: isRecorded)
  }
}

extension AskedOutcome.Word {
  /// nil: it settles nothing.
  fileprivate var settled: AuditOutcome.Kind? {
    switch self {
    case .done: .done
    case .refused: .refused
    case .accepted, .unknown: nil
    }
  }
}

/// The questions under way, and the answers that no command has fetched yet.
private final class AskedOutcomes: Sendable {
  enum State {
    case new, asking, full
    case answered(AskedOutcome)
  }

  private struct Entry {
    let since: Int64
    var outcome: AskedOutcome?
  }

  private static let countMax = 64
  /// A later request asks again.
  private static let nanoseconds: Int64 = 30_000_000_000
  private let entries = Mutex<[AuditRequestID: Entry]>([:])

  /// The state of a question; a new one is under way from now on, and an answered one is forgotten.
  func take(_ request: AuditRequestID, now: Int64) -> State {
    entries.withLock { entries in
      if let entry = entries[request], now - entry.since < Self.nanoseconds {
        guard let outcome = entry.outcome else { return .asking }
        entries[request] = nil
        return .answered(outcome)
      }
      if entries.count >= Self.countMax { entries = entries.filter { now - $0.value.since < Self.nanoseconds } }
      guard entries.count < Self.countMax else { return .full }
      entries[request] = Entry(since: now)
      return .new
    }
  }

  func answered(_ request: AuditRequestID, _ outcome: AskedOutcome) {
    entries.withLock { $0[request]?.outcome = outcome }
  }
}
