import Audit
import Dispatch
import System

/// Writes operators' commands to the audit log, on the admin endpoint's thread, and waits until they are durable.
final class CommandAudit {
  private let channel: AuditChannel
  private let settled: DispatchSemaphore
  private let completions: CompletionPort<CommandAudit, IntentResult>
  private var result: IntentResult?

  private static let waitSeconds = 5.0

  init(_ audit: AuditLog) {
    let settled = DispatchSemaphore(value: 0)
    self.settled = settled
    channel = audit.makeChannel { settled.signal() }
    completions = CompletionPort(channel.completions)
  }

  var canWrite: Bool { channel.canWrite }

  /// Whether the entry is durable.
  func record(_ command: AuditCommand) -> Bool {
    let ticket = completions.ticket(for: self)
    guard channel.declare(command, ticket: ticket) else {
      completions.withdraw(ticket)
      return false
    }
    result = nil
    let end = DispatchTime.now() + Self.waitSeconds
    while result == nil, settled.wait(timeout: end) == .success {
      completions.deliver { waiter, result in waiter.result = result }
    }
    completions.withdraw(ticket)
    if case .durable = result { return true }
    return false
  }
}
