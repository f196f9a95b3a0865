/// Creates transactions and applies them to balances.
extension SandboxLedger {
  /// - Parameter runsQueue: whether a queued transaction is stored and applied before the response; otherwise
  ///   `runQueue` does it.
  mutating func createTransaction(_ body: [UInt8], runsQueue: Bool) throws(CoreError) -> SandboxResponse {
    let idMaker = { [self] in makeID("txn") }
    let transaction = try Transaction(body, id: makeID("txn"), createdAt: now(), makeID: idMaker)
    let parts = try parts(of: transaction)
    try checkCapacity(adding: parts.count)
    if transaction.skipsQueue { return created(try record(transaction, parts)) }
    // Core responds before it looks at the reference and the balances: it drops a repeated transaction silently.
    if runsQueue { run(queued: parts) } else { queue.append(parts) }
    return created(transaction)
  }

  private func created(_ transaction: Transaction) -> SandboxResponse {
    .json(201, TransactionView(context: .created).json(transaction))
  }

  func getTransaction(_ id: String) throws(CoreError) -> SandboxResponse {
    guard let transaction = transactions[id] else { throw .missing("Transaction", code: "TXN_NOT_FOUND", id: id) }
    return .json(200, TransactionView(context: .byID).json(transaction))
  }

  func getTransaction(reference: String) throws(CoreError) -> SandboxResponse {
    guard let id = transactionIDs[Array(reference.utf8)], let transaction = transactions[id] else {
      throw CoreError(
        404, "TXN_NOT_FOUND", "Transaction with reference '\(reference)' not found", shape: .errorWithDetails)
    }
    return .json(200, TransactionView(context: .byReference).json(transaction))
  }

  // MARK: Skipping the queue

  /// Records a transaction, or the parts of a split payment. As in Core, a failed part does not undo those before it.
  private mutating func record(_ transaction: Transaction, _ parts: [Transaction]) throws(CoreError) -> Transaction {
    guard !transaction.destinations.isEmpty else { return try record(transaction) }
    for (index, part) in parts.enumerated() {
      do { _ = try record(part) } catch {
        throw CoreError(error.status, error.code, "failed to record split transaction \(index): \(error.message)")
      }
    }
    return transaction
  }

  private mutating func record(_ transaction: Transaction) throws(CoreError) -> Transaction {
    guard !isUsed(transaction.reference) else {
      throw CoreError(
        409, "TXN_DUPLICATE_REFERENCE",
        "transaction validation failed: reference \(transaction.reference) has already been used")
    }
    var recorded = transaction
    recorded.source = try balanceID(transaction.source, transaction.currency)
    try checkFunds(recorded)
    recorded.destination = try balanceID(transaction.destination, transaction.currency)
    move(recorded)
    store(recorded)
    return recorded
  }

  // MARK: Queue

  /// Stores and applies the queued transactions that wait for it.
  mutating func runQueue() {
    let waiting = queue
    queue = []
    for parts in waiting { run(queued: parts) }
  }

  /// Stores all parts, and then applies them. Core ends silently at the first one that it cannot store.
  private mutating func run(queued parts: [Transaction]) {
    var stored: [Transaction] = []
    for part in parts {
      guard !isUsed(part.reference), let prepared = try? prepare(part) else { return }
      store(prepared)
      stored.append(prepared)
    }
    for part in stored where (try? checkFunds(part)) != nil { move(part) }
  }

  private mutating func prepare(_ transaction: Transaction) throws(CoreError) -> Transaction {
    var prepared = transaction
    prepared.source = try balanceID(transaction.source, transaction.currency)
    prepared.destination = try balanceID(transaction.destination, transaction.currency)
    let pair = "\(prepared.source)|\(prepared.destination)|\(prepared.currency)"
    prepared.metaData = prepared.metaData.merging(["queue_lane": "normal", "queue_pair_key": .string(pair)])
    return prepared
  }

  // MARK: Steps

  private func isUsed(_ reference: String) -> Bool { transactionIDs[Array(reference.utf8)] != nil }

  private mutating func store(_ transaction: Transaction) {
    transactions.insert(transaction, id: transaction.id)
    transactionIDs[Array(transaction.reference.utf8)] = transaction.id
  }

  private func checkFunds(_ transaction: Transaction) throws(CoreError) {
    let available = balances[transaction.source]?.amounts.balance ?? 0
    guard transaction.allowsOverdraft || available >= transaction.preciseAmount else {
      throw CoreError(
        400, "TXN_INSUFFICIENT_FUNDS", "failed to apply transaction to balances: insufficient funds in source balance")
    }
  }

  private mutating func move(_ transaction: Transaction) {
    let time = transaction.createdAt
    balances.update(transaction.source) { $0.move(debit: transaction.preciseAmount, at: time) }
    balances.update(transaction.destination) { $0.move(credit: transaction.preciseAmount, at: time) }
    count(.moved(reference: transaction.reference))
  }

  /// The transactions that Core stores for this one: itself, or one for each destination of a split payment.
  private func parts(of transaction: Transaction) throws(CoreError) -> [Transaction] {
    guard !transaction.destinations.isEmpty else { return [transaction] }
    let total = transaction.preciseAmount
    let fixed = transaction.destinations.map { destination -> Int128? in
      let text = destination.distribution
      if text == "left" { return 0 }
      if text.hasSuffix("%") { return PreciseAmount.share(String(text.dropLast()), of: total) }
      return PreciseAmount.value(text, times: transaction.precision)
    }
    var left = total
    for amount in fixed {
      // Each part is at most the rest of the total, so no sum overflows.
      guard let amount, amount >= 0, amount <= left else {
        throw CoreError(400, "TXN_VALIDATION_ERROR", "the distributions are more than the amount")
      }
      left -= amount
    }
    guard left == 0 || transaction.destinations.contains(where: { $0.distribution == "left" }) else {
      throw CoreError(400, "TXN_VALIDATION_ERROR", "the distributions are less than the amount")
    }
    // The first "left" takes the whole rest.
    return zip(transaction.destinations, fixed).enumerated().map { index, share in
      guard share.0.distribution == "left" else { return transaction.part(index, amount: share.1 ?? 0) }
      defer { left = 0 }
      return transaction.part(index, amount: left)
    }
  }

  /// Resolves a balance id or an `@indicator`. The balance of a new indicator is created.
  private mutating func balanceID(_ identifier: String, _ currency: String) throws(CoreError) -> String {
    guard identifier.hasPrefix("@") else { return try balance(identifier).id }
    if let known = balance(indicator: identifier, currency: currency) { return known.id }
    try checkCapacity()
    let made = Balance(indicator: identifier, currency: currency, id: makeID("bln"), createdAt: now())
    balances.insert(made, id: made.id)
    return made.id
  }
}
