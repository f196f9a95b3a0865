import Bytes
import Policies

/// Whether Core's record is the result of a request, member by member.
///
/// Strict: what is not understood does not match. Both ways: what the request has, the record must have, and what the
/// record has beyond that must be Core's own, so that it is not another client's.
struct RecordMatch {
  typealias Value = JSONRecord.Value

  let subject: OutcomeQuestion.Subject
  let request: JSONRecord
  let record: JSONRecord
  /// The balance ids that Core stores in place of the indicators in the request.
  var balances: [String: String] = [:]

  /// The two members that may name a balance by its indicator.
  static let balanceNames: [ByteText] = ["source", "destination"]

  /// Members of a request that Core does not store, and that do not change what is moved.
  private static let notStored: Set<ByteText> = ["allow_overdraft", "precision", "skip_queue"]
  private static let required: [ByteText] = ["reference", "currency", "source", "destination"]
  private static let ownOfTransaction: Set<ByteText> = [
    "amount", "created_at", "effective_date", "hash", "inflight", "meta_data", "parent_transaction", "precise_amount",
    "precision", "rate", "status", "transaction_id",
  ]
  private static let ownOfIdentity: Set<ByteText> = ["created_at"]
  /// What Core adds to the `meta_data` of a transaction.
  private static let ownOfMetaData: Set<ByteText> = [
    "QUEUED_PARENT_TRANSACTION", "allow_overdraft", "atomic", "blnk_rejection_reason", "inflight", "queue_lane",
    "queue_pair_key",
  ]

  var isMatch: Bool {
    switch subject {
    case .deletion: return false
    case .identity: return hasAll && hasNoOther(than: Self.ownOfIdentity)
    case .transaction:
      return Self.required.allSatisfy { request.text($0) != nil } && hasAmount && hasAll
        && hasNoOther(than: Self.ownOfTransaction)
    }
  }

  /// Whether the record has each member of the request.
  private var hasAll: Bool {
    request.members.allSatisfy { name, value in
      // Core ignores null.
      if value == .null { return true }
      switch (subject, name) {
      case (.transaction, _) where Self.notStored.contains(name) || name == "amount" || name == "precise_amount":
        return true
      case (.transaction, "inflight"):
        return value == .bool(record["inflight"] == .bool(true) || record.has("status", "INFLIGHT"))
      case (.transaction, _) where Self.balanceNames.contains(name): return isBalance(name)
      case (.transaction, "meta_data"): return hasMetaData(value)
      default: return record[name].map { Self.same(value, $0) } ?? false
      }
    }
  }

  private func hasNoOther(than own: Set<ByteText>) -> Bool {
    record.members.allSatisfy { name, value in
      request[name] ?? .null != .null || own.contains(name) || value.isEmpty
    } && (subject == .identity || request["meta_data"] ?? .null != .null || hasMetaData(.object([:])))
  }

  private func isBalance(_ name: ByteText) -> Bool {
    guard let text = request.text(name) else { return false }
    return record.has(name, text.hasPrefix("@") ? balances[text] ?? "" : text)
  }

  private func hasMetaData(_ wanted: Value) -> Bool {
    guard case .object(let wanted) = wanted else { return false }
    var found: [ByteText: Value] = [:]
    switch record["meta_data"] ?? .null {
    case .object(let members): found = members
    case .null: break
    case .bool, .number, .string, .array: return false
    }
    return wanted.allSatisfy { name, value in found[name].map { Self.same(value, $0) } ?? false }
      && found.keys.allSatisfy { wanted[$0] != nil || Self.ownOfMetaData.contains($0) }
  }

  // MARK: Amounts

  private var hasAmount: Bool {
    guard case .number(let precise) = record["precise_amount"] else { return false }
    let (amount, wanted) = (number("amount"), request["precise_amount"] ?? .null)
    if let amount, record["amount"]?.number != amount { return false }
    guard wanted == .null else {
      // Of any size, so it is compared as text.
      guard case .number(let text) = wanted else { return false }
      return text == precise && !text.isEmpty && text.utf8.allSatisfy { (48...57).contains($0) }
    }
    guard let amount, let stored = Value.number(precise).number else { return false }
    let exact = amount * (number("precision") ?? 1)
    return abs(exact) < 1e15 && exact.rounded() == stored && abs(exact - stored) < 0.01
  }

  private func number(_ name: ByteText) -> Double? { request[name]?.number }

  // MARK: Values

  private static func same(_ left: Value, _ right: Value) -> Bool {
    switch (left, right) {
    // Core rounds numbers of more than 15 digits.
    case (.number, .number): left.number != nil && left.number == right.number
    case (.array(let left), .array(let right)): left.count == right.count && zip(left, right).allSatisfy(same)
    case (.object(let left), .object(let right)):
      left.count == right.count && left.allSatisfy { name, value in right[name].map { same(value, $0) } ?? false }
    default: left == right
    }
  }
}

extension JSONRecord.Value {
  /// nil: it is not a number, or not a finite one.
  fileprivate var number: Double? {
    guard case .number(let text) = self, text.utf8.count <= 64, let value = Double(text), value.isFinite else {
      return nil
    }
    return value
  }

  /// Whether it is what Core has in place of a member that was not sent.
  fileprivate var isEmpty: Bool {
    switch self {
    case .null, .bool(false): true
    case .bool(true): false
    case .number: number == 0
    case .string(let text): text == "" || text == "0001-01-01T00:00:00Z"
    case .array(let elements): elements.isEmpty
    case .object(let members): members.isEmpty
    }
  }
}
