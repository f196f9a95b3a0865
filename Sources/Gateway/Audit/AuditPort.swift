import Audit
import Bytes
import System
import Telemetry

/// Connects a loop to the audit thread: passes intents of exchanges on, and reports the results to the exchanges.
final class AuditPort {
  let channel: AuditChannel
  private let completions: CompletionPort<Exchange, IntentResult>
  /// The entry that is being written.
  private let text = ByteBuffer(capacity: 1 << 10)
  /// Scanners for later use, at most `scannersMax`.
  private var scanners: [JSONMembers] = []
  /// Writes for later use, at most `writesMax`.
  private var writes: [AuditedWrite] = []

  private static let scannersMax = 64
  private static let writesMax = 256

  init(_ channel: AuditChannel) {
    self.channel = channel
    completions = CompletionPort(channel.completions)
  }

  var canWrite: Bool { channel.canWrite }

  /// Begins an intent; pass it on before another one begins.
  func intent(for id: RequestID) -> AuditIntent {
    text.removeAll()
    return AuditIntent(id.high, id.low, to: text)
  }

  /// Passes the intent on; `exchange` gets the result later. nil: it was not accepted, and there will be no result.
  func declare(_ intent: AuditIntent, for exchange: Exchange) -> Ticket? {
    let ticket = completions.ticket(for: exchange)
    guard text.withBytes({ channel.declare($0, ticket: ticket) }) else {
      completions.withdraw(ticket)
      return nil
    }
    return ticket
  }

  /// Withdraws interest in the result.
  func withdraw(_ ticket: Ticket) { completions.withdraw(ticket) }

  func record(_ outcome: AuditOutcome) {
    text.removeAll()
    outcome.append(to: text)
    text.withBytes { channel.record($0) }
  }

  /// A write that has ended, or a new one: call its `begin`.
  func takeWrite() -> AuditedWrite { writes.popLast() ?? AuditedWrite(self) }

  /// Takes a write back that has ended.
  func keep(_ write: AuditedWrite) {
    if writes.count < Self.writesMax { writes.append(write) }
  }

  /// A scanner that has read nothing.
  func takeMembers() -> JSONMembers { scanners.popLast() ?? JSONMembers() }

  /// Takes a scanner back.
  func keep(_ scanner: JSONMembers) {
    guard scanners.count < Self.scannersMax else { return }
    scanner.reset()
    scanners.append(scanner)
  }

  /// Frees what is kept for later use.
  func releaseUnused() {
    writes.removeAll()
    scanners.removeAll()
  }

  /// Call it at the end of each turn.
  func turnEnded() { channel.wakeThread() }

  /// Delivers results to their exchanges. Call it whenever the loop is woken.
  func deliver() { completions.deliver { exchange, result in exchange.intentSettled(result) } }
}
