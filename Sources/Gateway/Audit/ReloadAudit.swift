import Audit
import Digests
import Dispatch
import Policies
import Synchronization
import System

/// Writes reloads to the audit log. Compares the policies on its own queue, and waits for nothing: a log that hangs or is
/// full delays no reload, and is reported.
final class ReloadAudit: Sendable {
  private let audit: AuditLog
  private let report: @Sendable (String) -> Void
  private let queue = DispatchQueue(label: "reloads")
  private let waiting = Atomic<Int>(0)

  /// Each holds two policies. Of further ones, only the files are compared.
  private static let comparisonsMax = 3
  private static let durableSeconds = 5

  init(_ audit: AuditLog, report: @escaping @Sendable (String) -> Void) {
    self.audit = audit
    self.report = report
  }

  /// - Parameter folder: the policy folder; nil: unknown.
  func record(generation: Int, from old: Policy, to new: Policy, in folder: String?) {
    let isCompared = waiting.add(1, ordering: .relaxed).newValue <= Self.comparisonsMax
    let policies = isCompared ? (old, new) : nil
    let files = (old.files, new.files)
    queue.async { [self] in
      var entry = AuditReload(generation: generation, before: files.0.digest, after: files.1.digest)
      entry.compare(files.0, files.1, in: folder)
      if let policies { entry.compare(policies.0, policies.1) }
      waiting.subtract(1, ordering: .relaxed)
      write(entry)
    }
  }

  private func write(_ entry: AuditReload) {
    guard let number = audit.record(entry) else {
      report("audit log: too many entries are waiting; the reload to generation \(entry.generation) is not in it")
      return
    }
    queue.asyncAfter(deadline: .now() + .seconds(Self.durableSeconds)) { [self] in
      guard audit.state.settledReloads < number else { return }
      report(
        "audit log: the reload to generation \(entry.generation) is not on the disk after \(Self.durableSeconds) s; it is "
          + "written when the log can be written again")
    }
  }

  /// Waits for comparisons, so that their entries precede the end of the log.
  func finish(withinSeconds seconds: Int) {
    let isDone = DispatchSemaphore(value: 0)
    queue.async { isDone.signal() }
    _ = isDone.wait(timeout: .now() + .seconds(seconds))
  }
}

extension AuditReload {
  fileprivate mutating func compare(_ old: Policy, _ new: Policy) {
    let diff = PolicyDiff(from: old, to: new, at: .now)
    givesAccess = diff.givesAccess
    let kinds = Dictionary(grouping: diff.tokens, by: \.kind).mapValues(\.count)
    let (gaining, losing) = (clients(in: diff, where: \.isGain), clients(in: diff, where: \.isLoss))
    let instances = new.instancesWithOtherKeys(than: old)
    counts = [
      ("clients_gaining", gaining.count), ("clients_losing", losing.count),
      ("wider", diff.wider.count), ("tokens_added", kinds[.added] ?? 0), ("tokens_removed", kinds[.removed] ?? 0),
      ("tokens_revoked", kinds[.revoked] ?? 0),
      ("tokens_changed", [.reinstated, .expiry, .moved, .binding].reduce(0) { $0 + (kinds[$1] ?? 0) }),
      ("instances_with_new_keys", instances.count),
    ]
    lists = [(#","gaining":[""#, gaining), (#","losing":[""#, losing), (#","new_keys":[""#, instances)]
      .map { ($0.0, Array($0.1.prefix(Self.namesMax))) }
  }

  fileprivate mutating func compare(_ old: [PolicyFile], _ new: [PolicyFile], in folder: String?) {
    let before = Dictionary(old.map { ($0.name, $0.digest) }, uniquingKeysWith: { first, _ in first })
    let after = Dictionary(new.map { ($0.name, $0.digest) }, uniquingKeysWith: { first, _ in first })
    let changed = Set(before.keys).union(after.keys).filter { (before[$0] ?? nil) != (after[$0] ?? nil) }.sorted()
    moreFiles = max(0, changed.count - Self.filesMax)
    files = changed.prefix(Self.filesMax).map { name in
      let status = folder.flatMap { folder in try? FileStatus(path: "\(folder)/\(name)") }
      return File(
        name: name, digest: (after[name] ?? nil)?.hex, owner: status?.owner,
        modified: status.map { UnixSeconds($0.modifiedAt).description })
    }
  }

  private func clients(in diff: PolicyDiff, where matches: (PolicyDiff.AccessChange) -> Bool) -> [String] {
    Set(diff.access.filter(matches).flatMap { change in change.subjects.map(\.client) }).sorted()
  }
}
