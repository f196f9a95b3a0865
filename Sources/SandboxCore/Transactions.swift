/// A movement of an amount from one balance to one or more others.
struct Transaction {
  /// A recipient of part of the amount.
  struct Destination {
    let identifier: String
    /// `20%`, an amount, or `left` (the rest).
    let distribution: String
    let transactionID: String
  }

  private(set) var id: String
  private(set) var preciseAmount: Int128
  /// As Go formats the number.
  private(set) var amount: String
  let precision: Int
  /// An `@indicator` is resolved when the transaction is stored.
  var source: String
  var destination: String
  private(set) var destinations: [Destination]
  private(set) var reference: String
  /// The split payment that this transaction is a part of; otherwise empty.
  private(set) var parentID = ""
  let currency: String
  let description: String
  let allowsOverdraft: Bool
  let skipsQueue: Bool
  let createdAt: GoTime
  var metaData: JSONValue

  private static let shape = BodyShape(
    type: "model.RecordTransaction",
    fields: [
      ("amount", .number), ("precise_amount", .number), ("precision", .number), ("currency", .string),
      ("reference", .string), ("description", .string), ("source", .string), ("destination", .string),
      ("destinations", .any), ("allow_overdraft", .bool), ("skip_queue", .bool), ("meta_data", .map),
    ])

  init(_ body: [UInt8], id: String, createdAt: GoTime, makeID: () -> String) throws(CoreError) {
    let bound = try Self.shape.read(body)
    self.id = id
    self.createdAt = createdAt
    reference = bound.string("reference")
    currency = bound.string("currency")
    description = bound.string("description")
    source = bound.string("source")
    destination = bound.string("destination")
    destinations = Self.destinations(bound.value("destinations"), makeID: makeID)
    allowsOverdraft = bound.bool("allow_overdraft")
    skipsQueue = bound.bool("skip_queue")
    precision = max(Int(bound.number("precision") ?? "1") ?? 1, 1)
    (amount, preciseAmount) = try Self.amount(bound, precision: precision)
    var added = bound.map("meta_data")
    if !skipsQueue { added = added.merging(["QUEUED_PARENT_TRANSACTION": .string(id)]) }
    if allowsOverdraft { added = added.merging(["allow_overdraft": true]) }
    metaData = added
    let fieldErrors = self.fieldErrors
    guard fieldErrors.isEmpty else { throw .invalid(fieldErrors, code: "TXN_VALIDATION_ERROR") }
  }

  /// The transaction that Core stores for one destination of a split payment.
  ///
  /// - Parameter index: of the destination.
  func part(_ index: Int, amount: Int128) -> Transaction {
    var part = self
    part.id = destinations[index].transactionID
    part.parentID = id
    part.destination = destinations[index].identifier
    part.destinations = []
    part.reference = "\(reference)\(skipsQueue ? "-" : "_")\(index + 1)"
    part.preciseAmount = amount
    part.amount = Self.amount(amount, precision: precision)
    return part
  }

  private var fieldErrors: [(field: String, text: String)] {
    var all: [(field: String, text: String)] = []
    for (name, text) in [("currency", currency), ("description", description), ("reference", reference)]
    where text.isEmpty { all.append((name, "cannot be blank")) }
    if preciseAmount <= 0 { all.append(("amount", "cannot be blank")) }
    if source.isEmpty { all.append(("source", "either source or sources is required, not both")) }
    if destination.isEmpty == destinations.isEmpty {
      all.append(("destination", "either destination or destinations is required, not both"))
    }
    return all
  }

  private static func amount(_ bound: BoundBody, precision: Int) throws(CoreError) -> (String, Int128) {
    let number = bound.number("precise_amount") ?? bound.number("amount") ?? "0"
    let isPrecise = bound.number("precise_amount") != nil
    guard let precise = PreciseAmount.value(number, times: isPrecise ? 1 : precision) else {
      throw CoreError(400, "TXN_VALIDATION_ERROR", "the sandbox does not support amounts of more than 38 digits")
    }
    return (isPrecise ? Self.amount(precise, precision: precision) : GoNumber.text(number) ?? number, precise)
  }

  private static func amount(_ precise: Int128, precision: Int) -> String {
    GoNumber.text(Double(precise) / Double(precision))
  }

  private static func destinations(_ value: JSONValue?, makeID: () -> String) -> [Destination] {
    guard case .array(let elements) = value else { return [] }
    return elements.map {
      Destination(
        identifier: $0["identifier"]?.text ?? "", distribution: $0["distribution"]?.text ?? "", transactionID: makeID())
    }
  }
}

/// Which fields of a transaction a response contains.
struct TransactionView {
  enum Context {
    case created, byID, byReference
  }

  let context: Context

  func json(_ transaction: Transaction) -> JSONValue {
    var members: [JSONMember] = []
    func add(_ name: String, _ value: JSONValue) { members.append(JSONMember(name, value)) }
    // Core does not store `allow_overdraft` and `skip_queue`, and loads no precision and hash for a query by reference.
    let isCreated = context == .created
    add("precise_amount", .integer(transaction.preciseAmount))
    add("amount", .number(transaction.amount))
    add("precision", .integer(context == .byReference ? 0 : transaction.precision))
    add("overdraft_limit", .integer(0))
    add("transaction_id", .string(transaction.id))
    add("parent_transaction", .string(transaction.parentID))
    add("source", .string(transaction.source))
    if transaction.destinations.isEmpty { add("destination", .string(transaction.destination)) }
    add("reference", .string(transaction.reference))
    add("currency", .string(transaction.currency))
    add("description", .string(transaction.description))
    add("status", transaction.skipsQueue ? "APPLIED" : "QUEUED")
    add("hash", .string(context == .byReference ? "" : transaction.hash))
    add("allow_overdraft", .bool(isCreated && transaction.allowsOverdraft))
    add("inflight", false)
    add("skip_queue", .bool(isCreated && transaction.skipsQueue))
    add("atomic", false)
    if !transaction.destinations.isEmpty { add("destinations", .array(transaction.destinations.map(\.json))) }
    let time = isCreated ? transaction.createdAt : transaction.createdAt.roundedToMicroseconds
    add("created_at", .string(time.text))
    if isCreated { add("effective_date", .string(time.text)) }
    for name in ["scheduled_for", "inflight_expiry_date", "inflight_commit_date"] {
      add(name, .string(GoTime.zeroText))
    }
    add("meta_data", transaction.metaData)
    return .object(members)
  }
}

extension Transaction.Destination {
  fileprivate var json: JSONValue {
    [
      "identifier": .string(identifier), "distribution": .string(distribution),
      "transaction_id": .string(transactionID),
    ]
  }
}

extension Transaction {
  /// 64 hex digits that depend on the movement only, like Core's hash. This is FNV-1a: it proves nothing.
  fileprivate var hash: String {
    let text = "\(preciseAmount)|\(reference)|\(currency)|\(source)|\(destination)"
    return (0..<4).map { (part: UInt64) in
      let sum = text.utf8.reduce(0xCBF2_9CE4_8422_2325 &+ part) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
      let digits = String(sum, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
