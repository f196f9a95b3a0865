import Digests
import System

/// What waits for the journal's thread.
struct JournalWork: Sendable {
  struct Waiter: Sendable {
    let channel: Int
    let ticket: Ticket
  }

  enum Write: Sendable {
    case claim(KeyedWrite, Waiter)
    case outcome(KeyedOutcome, KeyedWrite, Waiter?)
  }

  /// A claim of a key whose record is on disk.
  struct Read: Sendable {
    let write: KeyedWrite
    let entry: KeyIndex.Entry
    let waiter: Waiter
  }

  /// Claims and reads beyond this are not accepted: the thread is behind, and the requests would time out.
  static let itemsMax = 4_096
  /// Of outcomes, beyond which they are not accepted.
  static let outcomeBytesMax = 64 << 20

  var writes: [Write] = []
  var reads: [Read] = []
  var commands: [JournalCommand] = []
  /// A key was claimed that is in flight in the process that handed over to this one.
  var mustFollowParent = false
  private(set) var claims = 0
  private(set) var claimBytes = 0
  private(set) var outcomeBytes = 0

  /// Whether there is work besides claims and outcomes.
  var hasOthers: Bool { !reads.isEmpty || !commands.isEmpty || mustFollowParent }
  var isEmpty: Bool { writes.isEmpty && !hasOthers }

  func ends(waitingFor writes: Int) -> Bool { self.writes.count >= writes || hasOthers }

  var depth: Int { writes.count + reads.count + commands.count }
  var hasCapacityForClaim: Bool { claims < Self.itemsMax }
  var hasCapacityForRead: Bool { reads.count < Self.itemsMax }

  /// Forgets all; keeps a little storage.
  mutating func removeAll() {
    writes.removeAll(keepingCapacity: writes.capacity <= Self.keptWritesMax)
    (reads, commands, mustFollowParent) = ([], [], false)
    (claims, claimBytes, outcomeBytes) = (0, 0, 0)
  }

  private static let keptWritesMax = 256

  mutating func append(claim write: KeyedWrite, _ waiter: Waiter) {
    writes.append(.claim(write, waiter))
    claims += 1
    claimBytes += JournalRecord.fixedBytes + write.client.utf8.count + write.instance.utf8.count + write.key.utf8.count
  }

  /// False if too many bytes wait.
  mutating func append(_ outcome: KeyedOutcome, of write: KeyedWrite, _ waiter: Waiter?) -> Bool {
    guard outcomeBytes < Self.outcomeBytesMax else { return false }
    if case .response(_, let fields, let body) = outcome { outcomeBytes += fields.count + body.count }
    writes.append(.outcome(outcome, write, waiter))
    return true
  }
}
