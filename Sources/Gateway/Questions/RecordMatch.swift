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
  var balances: [JSONRecord.Member] = []

  /// The two members that may name a balance by its indicator.
  static let balanceNames: [ByteText] = ["source", "destination"]

  /// Members of a request that Core does not store, and that do not change what is moved.
  private static let notStored: [ByteText] = ["allow_overdraft", "precision", "skip_queue"]
  private static let required: [ByteText] = ["reference", "currency", "source", "destination"]
  private static let ownOfTransaction: [ByteText] = [
    "amount", "created_at", "effective_date", "hash", "inflight", "meta_data", "parent_transaction", "precise_amount",
    "precision", "rate", "status", "transaction_id",
  ]
  private static let ownOfIdentity: [ByteText] = ["created_at"]
  /// What Core adds to the `meta_data` of a transaction.
  private static let ownOfMetaData: [ByteText] = [
    "QUEUED_PARENT_TRANSACTION", "allow_overdraft", "atomic", "blnk_rejection_reason", "inflight", "queue_lane",
    "queue_pair_key",
  ]

  var isMatch: Bool {
    switch subject {
    case .deletion: return false
    case .identity: return hasAll && hasNoOther(than: Self.ownOfIdentity)
    case .transaction:
      return Self.required.allSatisfy { request.text($0) != nil } && hasAmount && hasAll
        && hasNoOther(than: Self.ownOfTransaction) && hasDefaults && hasStatus
    }
  }

  /// Whether the record has each member of the request. Core ignores null.
  private var hasAll: Bool {
    request.members.allSatisfy { $0.value.isNull || has($0.name, $0.value) }
  }

  private func has(_ name: ByteText, _ value: Value) -> Bool {
    guard subject == .transaction else { return hasSame(name, value) }
    if Self.notStored.contains(name) { return true }
    if Self.balanceNames.contains(name) { return isBalance(name) }
    switch name.text {
    // `hasAmount` compares them.
    case "amount", "precise_amount": return true
    case "inflight": return record.has("status", "INFLIGHT") ? value.isTrue : hasSame(name, value)
    case "meta_data": return hasMetaData(value)
    default: return hasSame(name, value)
    }
  }

  private func hasSame(_ name: ByteText, _ value: Value) -> Bool { record[name].map { Self.same(value, $0) } ?? false }

  private func hasNoOther(than own: [ByteText]) -> Bool {
    let isAllSent = record.members.allSatisfy { isSent($0.name) || own.contains($0.name) || $0.value.isEmpty }
    return isAllSent && (subject == .identity || isSent("meta_data") || hasMetaData(.object([])))
  }

  private func isSent(_ name: ByteText) -> Bool { request[name]?.isNull == false }

  private func isBalance(_ name: ByteText) -> Bool {
    guard let text = request.text(name) else { return false }
    return record.has(name, text.hasPrefix("@") ? balances.value(ByteText(text))?.text?.text ?? "" : text)
  }

  private func hasMetaData(_ wanted: Value) -> Bool {
    guard case .object(let wanted) = wanted else { return false }
    var found: [JSONRecord.Member] = []
    switch record["meta_data"] {
    case .object(let members): found = members
    case nil, .null: break
    case .bool, .number, .string, .array: return false
    }
    return Self.hasEach(of: wanted, found)
      && found.allSatisfy { wanted.value($0.name) != nil || isOwn($0) }
  }

  /// Whether Core adds this member to the `meta_data` of such a request.
  private func isOwn(_ member: JSONRecord.Member) -> Bool {
    switch member.name.text {
    case "allow_overdraft", "inflight": return member.value.isTrue == isTrue(member.name)
    case "blnk_rejection_reason": return record.has("status", "REJECTED")
    default: return Self.ownOfMetaData.contains(member.name)
    }
  }

  // MARK: What the request leaves out

  /// Whether the record has the defaults of members that the request leaves out, and that change what is moved.
  private var hasDefaults: Bool {
    if !isSent("rate"), ![nil, 0, 1].contains(record["rate"]?.number) { return false }
    if !isSent("inflight"), record["inflight"]?.isTrue == true { return false }
    if !isSent("parent_transaction"), record["parent_transaction"]?.isEmpty == false { return false }
    if !isSent("effective_date"), let date = record["effective_date"], !date.isEmpty, !isCreation(date) { return false }
    return [nil, 0, number("precision") ?? 1].contains(record["precision"]?.number)
  }

  private func isCreation(_ date: Value) -> Bool {
    guard let date = date.text.flatMap({ UnixSeconds(rfc3339: $0.text) }),
      let created = record.text("created_at").flatMap({ UnixSeconds(rfc3339: $0) })
    else { return false }
    return abs(date.rawValue - created.rawValue) <= 1
  }

  /// Whether Core's response to the request was a success, as far as the record shows.
  private var hasStatus: Bool {
    switch record.text("status") {
    case "APPLIED": !isTrue("inflight")
    case "INFLIGHT": isTrue("inflight")
    case "QUEUED", "REJECTED": !isTrue("skip_queue")
    case "SCHEDULED": isSent("scheduled_for")
    default: false
    }
  }

  private func isTrue(_ name: ByteText) -> Bool { request[name]?.isTrue == true }

  // MARK: Amounts

  private var hasAmount: Bool {
    guard case .number(let precise) = record["precise_amount"] else { return false }
    let amount = number("amount")
    if isSent("amount"), amount == nil || record["amount"]?.number != amount { return false }
    if isSent("precise_amount") {
      // Of any size, so it is compared as text.
      guard case .number(let text) = request["precise_amount"] else { return false }
      return text == precise && text.utf8.allSatisfy { (48...57).contains($0) }
    }
    guard let amount, let stored = Value.number(precise).number else { return false }
    let exact = amount * (number("precision") ?? 1)
    return abs(exact) < 1e15 && exact.rounded() == stored && abs(exact - stored) < 0.01
  }

  private func number(_ name: ByteText) -> Double? { request[name]?.number }

  // MARK: Values

  private static func same(_ left: Value, _ right: Value) -> Bool {
    switch (left, right) {
    case (.null, .null): return true
    case (.bool(let left), .bool(let right)): return left == right
    // Core rounds numbers of more than 15 digits.
    case (.number, .number): return left.number != nil && left.number == right.number
    case (.string(let left), .string(let right)): return left == right
    case (.array(let left), .array(let right)):
      return left.count == right.count && left.indices.allSatisfy { same(left[$0], right[$0]) }
    case (.object(let left), .object(let right)): return left.count == right.count && hasEach(of: left, right)
    case (.null, _), (.bool, _), (.number, _), (.string, _), (.array, _), (.object, _): return false
    }
  }

  private static func hasEach(of wanted: [JSONRecord.Member], _ found: [JSONRecord.Member]) -> Bool {
    wanted.allSatisfy { member in found.value(member.name).map { same(member.value, $0) } ?? false }
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

  fileprivate var isTrue: Bool {
    guard case .bool(true) = self else { return false }
    return true
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
