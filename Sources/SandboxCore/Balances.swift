/// A balance: amounts of one currency in one ledger.
struct Balance {
  let id: String
  let ledgerID: String
  var identityID: String
  let indicator: String
  let currency: String
  let createdAt: GoTime
  var metaData: JSONValue
  let tracksFundLineage: Bool
  let allocationStrategy: String
  /// Incremented by each change of the amounts.
  private(set) var version = 1
  private(set) var amounts = BalanceAmounts()
  /// The amounts after each change, oldest first.
  private var history: [(time: GoTime, amounts: BalanceAmounts)] = []

  static let shape = BodyShape(
    type: "model.CreateBalance",
    fields: [
      ("ledger_id", .string), ("identity_id", .string), ("indicator", .string), ("currency", .string),
      ("track_fund_lineage", .bool), ("allocation_strategy", .string), ("meta_data", .map),
    ])

  init(_ body: [UInt8], id: String, createdAt: GoTime) throws(CoreError) {
    let bound = try Self.shape.read(body)
    ledgerID = bound.string("ledger_id")
    identityID = bound.string("identity_id")
    indicator = bound.string("indicator")
    currency = bound.string("currency")
    tracksFundLineage = bound.bool("track_fund_lineage")
    allocationStrategy = bound.string("allocation_strategy").isEmpty ? "FIFO" : bound.string("allocation_strategy")
    metaData = bound.map("meta_data")
    self.id = id
    self.createdAt = createdAt
    let fieldErrors = self.fieldErrors
    guard fieldErrors.isEmpty else { throw .invalid(fieldErrors) }
  }

  /// Creates a balance in the general ledger.
  init(indicator: String, currency: String, id: String, createdAt: GoTime) {
    self.id = id
    self.indicator = indicator
    self.currency = currency
    self.createdAt = createdAt
    ledgerID = SandboxLedger.generalLedgerID
    identityID = ""
    metaData = .null
    tracksFundLineage = false
    allocationStrategy = "FIFO"
  }

  /// Records a movement. Sums saturate at `Int128.max` (38 digits).
  mutating func move(debit: Int128 = 0, credit: Int128 = 0, at time: GoTime) {
    amounts.debit = amounts.debit.addingSaturated(debit)
    amounts.credit = amounts.credit.addingSaturated(credit)
    version += 1
    history.append((time, amounts))
  }

  func amounts(at seconds: Int) -> BalanceAmounts {
    history.last { $0.time.nanoseconds / 1_000_000_000 <= Int64(seconds) }?.amounts ?? BalanceAmounts()
  }

  private var fieldErrors: [(field: String, text: String)] {
    var all: [(field: String, text: String)] = []
    if ledgerID.isEmpty { all.append(("ledger_id", "cannot be blank")) }
    if currency.isEmpty { all.append(("currency", "cannot be blank")) }
    if tracksFundLineage, identityID.isEmpty {
      all.append(("identity_id", "identity_id is required when track_fund_lineage is enabled"))
    }
    if !indicator.isEmpty, ledgerID != SandboxLedger.generalLedgerID {
      let text = "indicator is only allowed for General Ledger balances (ledger_id = general_ledger_id)"
      all.append(("indicator", text))
    }
    if !["FIFO", "LIFO", "PROPORTIONAL"].contains(allocationStrategy) {
      all.append(("allocation_strategy", "must be a valid value"))
    }
    return all
  }
}

/// The amounts of a balance, in the smallest unit of its currency.
struct BalanceAmounts: Equatable {
  var credit: Int128 = 0
  var debit: Int128 = 0
  var queuedCredit: Int128 = 0
  var queuedDebit: Int128 = 0

  var balance: Int128 { credit - debit }
}

extension Int128 {
  /// Both operands must be non-negative.
  fileprivate func addingSaturated(_ other: Int128) -> Int128 {
    let (sum, isOverflow) = addingReportingOverflow(other)
    return isOverflow ? .max : sum
  }
}

/// Which fields of a balance a response contains.
struct BalanceView {
  enum Context {
    case created, one, listed
  }

  let context: Context
  var withQueued = false
  var identity: Identity?
  var ledger: Ledger?

  func json(_ balance: Balance) -> JSONValue {
    var members: [JSONMember] = []
    func add(_ name: String, _ value: JSONValue) { members.append(JSONMember(name, value)) }
    func addAmount(_ name: String, _ amount: Int128) { add(name, .integer(amount)) }
    let amounts = balance.amounts
    addAmount("balance", amounts.balance)
    // Core's lists load neither the version nor the lineage fields; creation does not load the version.
    add("version", .integer(context == .one ? balance.version : 0))
    addAmount("inflight_balance", 0)
    addAmount("credit_balance", amounts.credit)
    addAmount("inflight_credit_balance", 0)
    addAmount("debit_balance", amounts.debit)
    addAmount("inflight_debit_balance", 0)
    if withQueued {
      addAmount("queued_debit_balance", amounts.queuedDebit)
      addAmount("queued_credit_balance", amounts.queuedCredit)
    }
    add("ledger_id", .string(balance.ledgerID))
    add("identity_id", .string(balance.identityID))
    add("balance_id", .string(balance.id))
    if !balance.indicator.isEmpty { add("indicator", .string(balance.indicator)) }
    add("currency", .string(balance.currency))
    if let identity { add("identity", identity.includedJSON) }
    if let ledger { add("ledger", ledger.includedJSON) }
    let createdAt = context == .created ? balance.createdAt : balance.createdAt.roundedToMicroseconds
    add("created_at", .string(createdAt.text))
    add("inflight_expires_at", .string(GoTime.zeroText))
    add("meta_data", balance.metaData)
    add("track_fund_lineage", .bool(context != .listed && balance.tracksFundLineage))
    if context != .listed { add("allocation_strategy", .string(balance.allocationStrategy)) }
    return .object(members)
  }
}

extension Ledger {
  /// The ledger embedded in a balance: without metadata.
  fileprivate var includedJSON: JSONValue {
    Ledger(id: id, name: name, createdAt: createdAt, metaData: .null).json
  }
}

extension SandboxLedger {
  func balance(_ id: String) throws(CoreError) -> Balance {
    guard let balance = balances[id] else { throw .missing("Balance", code: "BAL_NOT_FOUND", id: id) }
    return balance
  }

  mutating func createBalance(_ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    let balance = try Balance(body, id: makeID("bln"), createdAt: now())
    // Core blames the ledger even if it is the identity that is unknown.
    guard ledgers[balance.ledgerID] != nil, balance.identityID.isEmpty || identities[balance.identityID] != nil else {
      throw CoreError(400, "GEN_BAD_REQUEST", "Invalid ledger ID", shape: .errorWithDetails)
    }
    guard balance.indicator.isEmpty || self.balance(indicator: balance.indicator, currency: balance.currency) == nil
    else {
      throw CoreError(
        409, "GEN_CONFLICT", "Balance already exists for indicator '\(balance.indicator)' and '\(balance.currency)'",
        shape: .errorWithDetails)
    }
    try checkCapacity()
    balances.insert(balance, id: balance.id)
    count(.created(id: balance.id))
    return .json(201, BalanceView(context: .created).json(balance))
  }

  func getBalance(_ id: String, _ query: SandboxQuery) throws(CoreError) -> SandboxResponse {
    let balance = try balance(id)
    let includes = query.all("include")
    let view = BalanceView(
      context: .one, withQueued: query["with_queued"] == "true",
      identity: includes.contains("identity") ? identities[balance.identityID] : nil,
      ledger: includes.contains("ledger") ? ledgers[balance.ledgerID] : nil)
    return .json(200, view.json(balance))
  }

  func balance(indicator: String, currency: String) -> Balance? {
    balances.newestFirst.first { $0.indicator == indicator && $0.currency == currency }
  }
}
