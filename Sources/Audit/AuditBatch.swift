import Bytes
import System

/// Entries that wait to be written, in order, without the members that the chain adds.
struct AuditBatch {
  struct Waiter: Sendable {
    let channel: Int
    let ticket: Ticket
  }

  struct Item: Sendable {
    let kind: AuditEntry.Kind
    /// The number of bytes in `bytes` that belong to this entry.
    let byteCount: Int
    /// What waits for the entry; nil for outcomes.
    let waiter: Waiter?
  }

  private(set) var bytes: [UInt8] = []
  private(set) var items: [Item] = []
  /// Entries that something waits for.
  private(set) var intents = 0

  var isEmpty: Bool { items.isEmpty }

  mutating func append(_ kind: AuditEntry.Kind, _ members: Span<UInt8>, for waiter: Waiter? = nil) {
    bytes.append(copying: members)
    items.append(Item(kind: kind, byteCount: members.count, waiter: waiter))
    if waiter != nil { intents += 1 }
  }

  /// Calls `body` with each item and its members.
  func forEach(_ body: (Item, Span<UInt8>) -> Void) {
    var offset = 0
    for item in items {
      body(item, bytes.span.extracting(offset..<offset + item.byteCount))
      offset += item.byteCount
    }
  }

  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptBytesMax)
    items.removeAll(keepingCapacity: true)
    intents = 0
  }

  /// Whether one more outcome may wait; further outcomes are lost and counted.
  var hasCapacityForOutcome: Bool { items.count < Self.itemsMax && bytes.count < Self.bytesMax }

  static let itemsMax = 65_536
  private static let bytesMax = 32 << 20
  private static let keptBytesMax = 1 << 20
}
