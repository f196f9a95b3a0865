/// The state of the audit log for operators; a copy.
package struct AuditState: Equatable, Sendable {
  /// The last durable entry. With a copy kept elsewhere, `audit verify --expect` detects a truncated log.
  package internal(set) var head: AuditHead?
  /// Whether entries can be written; writes are rejected otherwise.
  package internal(set) var canWrite = true
  /// Entries written. All counts are since the start of the process.
  package internal(set) var entries = 0
  package internal(set) var synchronizations = 0
  /// Entries of reloads that are on the disk, or were lost.
  package internal(set) var settledReloads = 0
  /// Files abandoned after a fault, and failed attempts to open a new one.
  package internal(set) var failures = 0
  /// Entries waiting for the audit thread.
  package internal(set) var queueDepth = 0
  /// Outcomes lost because too many were waiting to be written.
  package internal(set) var lostOutcomes = 0
}
