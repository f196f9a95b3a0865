import Audit
import Dispatch
import FoundationEssentials
import Journal
import OAuth
import Policies
import Synchronization
import System

/// The journal's page of the admin endpoint, `/idempotency`: GET lists keys, POST resolves or forgets them.
struct AdminJournal {
  let journal: Journal
  let audit: CommandAudit?
  /// The instances in force, for the longest time that a request may take.
  let policy: @Sendable () -> Policy

  private static let waitSeconds = 2.0
  private static let keysMax = 10_000
  private static let keysUsual = 100

  /// - Parameter query: without its question mark.
  func list(_ query: [UInt8]) -> AdminAnswer {
    do throws(FormFault) {
      return list(try FormBody(query.span))
    } catch {
      return .line(400, "The query is malformed.")
    }
  }

  private func list(_ query: FormBody) -> AdminAnswer {
    if let key = query["key"] { return show(key, query) }
    let limit = query["limit"].map { Int($0) ?? 0 } ?? Self.keysUsual
    guard (1...Self.keysMax).contains(limit) else { return .line(400, "limit must be 1 to \(Self.keysMax).") }
    var states: Set<JournalKey.State> = [.inFlight, .unknown]
    if let name = query["state"] {
      let named = JournalKey.State(rawValue: name).map { [$0] } ?? (name == "all" ? JournalKey.State.allCases : [])
      guard !named.isEmpty else {
        let known = JournalKey.State.allCases.map(\.rawValue).joined(separator: ", ")
        return .line(400, "state must be all or one of: \(known).")
      }
      states = Set(named)
    }
    let found: ([JournalKey], Bool)?? = Self.waiting { complete in
      let isAsked = journal.list(
        client: query["client"], instance: query["instance"], states: states, limit: limit
      ) { keys, isAll in complete((keys, isAll)) }
      if !isAsked { complete(nil) }
    }
    guard let found, let (keys, isComplete) = found else { return Self.noAnswer }
    return .json(Self.encoded(JournalKeyList(keys: keys.map(JournalKeyList.Key.init), complete: isComplete)))
  }

  private func show(_ key: String, _ query: FormBody) -> AdminAnswer {
    guard let client = query["client"], let instance = query["instance"] else {
      return .line(400, "A key belongs to a client and an instance; name both.")
    }
    let result: ShowResult? = Self.waiting { complete in
      journal.show(client: client, instance: instance, key: key, completion: complete)
    }
    switch result {
    case .found(let key): return .json(Self.encoded(JournalKeyList(keys: [JournalKeyList.Key(key)], complete: true)))
    case .missing: return .line(404, "The journal has no such key: it is free.")
    case .unavailable: return .line(503, "The gateway is ending; ask the one that takes its place.")
    case nil: return Self.noAnswer
    }
  }

  /// - Parameter body: a form with `action`, `client`, `instance`, `key`, `as`, `status`, `reason` and `user`.
  func change(_ body: [UInt8]) -> AdminAnswer {
    do throws(FormFault) {
      return change(try FormBody(body.span))
    } catch {
      return .line(400, "The form is malformed.")
    }
  }

  private func change(_ form: FormBody) -> AdminAnswer {
    guard let instance = form["instance"] else { return .line(400, "instance is missing.") }
    guard let reason = form["reason"], reason.utf8.count <= 500 else {
      return .line(400, "reason is missing, or has more than 500 bytes.")
    }
    guard audit?.canWrite != false else {
      return .line(503, "The audit log cannot be written, so nothing may be changed; see the gateway's log.")
    }
    switch form["action"] {
    case "resolve": return resolve(form, instance)
    case "forget": return forget(form, instance)
    default: return .line(400, "action must be resolve or forget.")
    }
  }

  private func resolve(_ form: FormBody, _ instance: String) -> AdminAnswer {
    guard let client = form["client"], let key = form["key"] else { return .line(400, "client or key is missing.") }
    let resolution: KeyResolution
    switch form["as"] {
    case "done":
      let status = form["status"].map { Int($0) ?? 0 } ?? 200
      guard (200...499).contains(status) else {
        return .line(400, "status must be 200 to 499.")
      }
      resolution = .done(status: status)
    case "not-done": resolution = .notDone
    default: return .line(400, "as must be done or not-done.")
    }
    // The entry is durable before the change, so that no change is without one.
    let trial = resolve(client, instance, key, resolution, isTrial: true)
    if trial == .resolved, let refusal = record("idempotency resolve", form) { return refusal }
    switch trial == .resolved ? resolve(client, instance, key, resolution, isTrial: false) : trial {
    case .resolved: return .line(200, "resolved")
    case .missing: return .line(404, "The journal has no such key: it is free.")
    case .inFlight: return .line(409, "The request is still in flight.")
    case .notUnknown: return .line(409, "The outcome of this key is known.")
    case .tooYoung(let age): return tooYoung(age, instance)
    case .unreadable: return .line(503, "The record of this key cannot be read; see the gateway's log.")
    case .failed: return .line(503, "The journal cannot write; see the gateway's log.")
    case nil: return trial == .resolved ? Self.noResult : Self.noAnswer
    }
  }

  private func resolve(
    _ client: String, _ instance: String, _ key: String, _ resolution: KeyResolution, isTrial: Bool
  ) -> ResolveResult? {
    Self.waiting { complete in
      journal.resolve(
        client: client, instance: instance, key: key, as: resolution, minimumAge: minimumAge(instance),
        isTrial: isTrial, completion: complete)
    }
  }

  /// Core may work on a request for as long as the gateway waits for it, and a while longer.
  private func minimumAge(_ instance: String) -> Int {
    let policy = policy()
    let found = policy.instances.first { $0.id.text == instance }
    // The key does not say which route it was used on.
    let ofRoutes = policy.routes.routes.compactMap { $0.times?.totalMilliseconds }.max() ?? 0
    return max(found?.timeouts.totalMilliseconds ?? 3_600_000, ofRoutes) / 1_000 + 60
  }

  private func forget(_ form: FormBody, _ instance: String) -> AdminAnswer {
    let (client, key) = (form["client"], form["key"])
    guard (client == nil) == (key == nil) else { return .line(400, "Name client and key, or neither.") }
    var trial: ForgetResult? = .forgotten(0)
    if let client, let key {
      trial = Self.waiting { complete in
        journal.forget(
          client: client, instance: instance, key: key, minimumAge: minimumAge(instance), isTrial: true,
          completion: complete)
      }
    }
    var result = trial
    if case .forgotten = trial {
      if let refusal = record("idempotency forget", form) { return refusal }
      result = Self.waiting { complete in
        if let client, let key {
          journal.forget(
            client: client, instance: instance, key: key, minimumAge: minimumAge(instance), completion: complete)
        } else {
          journal.forget(instance: instance, minimumAge: minimumAge(instance), completion: complete)
        }
      }
    }
    switch result {
    case .forgotten(let count, let kept):
      let others =
        kept == 0
        ? "" : "; kept \(kept) of unknown outcome that are younger than \(minimumAge(instance)) s: repeat this later"
      return .line(200, "forgot \(count) \(count == 1 ? "key" : "keys")\(others)")
    case .tooYoung(let age): return tooYoung(age, instance)
    case .unreadable: return .line(503, "The record of a key cannot be read; see the gateway's log.")
    case .missing: return .line(404, "The journal has no such key: it is free.")
    case .inFlight: return .line(409, "The request is still in flight.")
    case .failed: return .line(503, "The journal cannot write; see the gateway's log.")
    case nil: return trial == nil ? Self.noAnswer : Self.noResult
    }
  }

  private func tooYoung(_ age: Int, _ instance: String) -> AdminAnswer {
    .line(
      409,
      "The request is \(age) s old, and may still be executed: wait until it is \(minimumAge(instance)) s old, the "
        + "longest total_s of the instance and the routes, and a minute.")
  }

  /// Writes the audit entry of a change; the answer if that fails.
  private func record(_ command: String, _ form: FormBody) -> AdminAnswer? {
    var entry = AuditCommand(command)
    for name in ["client", "instance", "key", "as", "status", "reason", "user"] {
      if let value = form[name] { entry.members.append((name, value)) }
    }
    guard audit?.record(entry) != false else {
      return .line(503, "Nothing was changed: the audit log cannot be written; see the gateway's log.")
    }
    return nil
  }

  // MARK: Details

  private static let noAnswer = AdminAnswer.line(503, "The journal has not answered within 2 s; see the gateway's log.")
  private static let noResult = AdminAnswer.line(
    503, "The journal has not answered within 2 s, and the change may still be made: look with \"idempotency show\".")

  /// The result of a call that completes on another thread; nil: it took too long.
  private static func waiting<Result: Sendable>(
    _ start: (_ complete: @escaping @Sendable (Result) -> Void) -> Void
  ) -> Result? {
    let box = ResultBox<Result>()
    start { result in box.fill(result) }
    return box.wait(seconds: waitSeconds)
  }

  private static func encoded(_ list: JournalKeyList) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(list)).map { Array($0) } ?? []
  }
}

/// Keys as operators see them, never with a response's content: what the admin endpoint answers, and commands read.
package struct JournalKeyList: Codable, Sendable {
  package struct Key: Codable, Sendable {
    package let client: String
    package let instance: String
    package let key: String
    package let state: String
    package let status: Int?
    package let requestId: String
    package let recordedAt: String
  }

  package let keys: [Key]
  /// Whether these are all.
  package let complete: Bool
}

/// A result that another thread delivers.
private final class ResultBox<Result: Sendable>: Sendable {
  private let result = Mutex<Result?>(nil)
  private let filled = DispatchSemaphore(value: 0)

  func fill(_ value: Result) {
    result.withLock { $0 = value }
    filled.signal()
  }

  func wait(seconds: Double) -> Result? {
    guard filled.wait(timeout: .now() + seconds) == .success else { return nil }
    return result.withLock { $0 }
  }
}

extension JournalKeyList.Key {
  init(_ key: JournalKey) {
    client = key.client
    instance = key.instance
    self.key = key.key
    state = key.state.rawValue
    status = key.status
    requestId = hexDigits(key.requestIDHigh) + hexDigits(key.requestIDLow)
    recordedAt = timestamp(key.wallMicroseconds)
  }
}

private func hexDigits(_ number: UInt64) -> String {
  let digits = String(number, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
