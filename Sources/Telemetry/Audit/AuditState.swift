/// What an operator wants to know of the audit log; a copy, taken on any thread.
package struct AuditState: Equatable, Sendable {
  /// The last entry that is durable: keep it elsewhere, and `audit verify --expect` finds a cut end.
  package internal(set) var head: AuditHead?
  /// Whether writes are let through.
  package internal(set) var canWrite = true
  /// Since the start of the process, as are all counts.
  package internal(set) var entries = 0
  package internal(set) var synchronizations = 0
  /// Files that had to be given up, and attempts at a new one that failed.
  package internal(set) var failures = 0
  /// Entries that wait for the audit thread.
  package internal(set) var queueDepth = 0
  /// Outcomes that no file will have, for there was no room to keep them until a file took them.
  package internal(set) var lostOutcomes = 0
}
