/// Creates transactions and applies them to balances.
extension SandboxLedger {
  mutating func createTransaction(_ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    let idMaker = { [self] in makeID("txn") }
    var transaction = try Transaction(body, id: makeID("txn"), createdAt: now(), makeID: idMaker)
    try checkCapacity()
    let isRepeat = transactions.newestFirst.contains { $0.reference == transaction.reference }
    if transaction.skipsQueue {
      guard !isRepeat else {
        throw CoreError(
          409, "TXN_DUPLICATE_REFERENCE", "reference \(transaction.reference) has already been used")
      }
      try post(&transaction)
    } else if !isRepeat {
      // Core's queue rejects a transaction later and silently. The sandbox processes it before it responds.
      var queued = transaction
      try? post(&queued)
    }
    transactions.insert(transaction, id: transaction.id)
    return .json(201, TransactionView(context: .created).json(transaction))
  }

  func getTransaction(_ id: String) throws(CoreError) -> SandboxResponse {
    guard let transaction = transactions[id] else { throw .missing("Transaction", code: "TXN_NOT_FOUND", id: id) }
    return .json(200, TransactionView(context: .byID).json(transaction))
  }

  func getTransaction(reference: String) throws(CoreError) -> SandboxResponse {
    guard let transaction = transactions.newestFirst.first(where: { $0.reference == reference }) else {
      throw CoreError(
        404, "TXN_NOT_FOUND", "Transaction with reference '\(reference)' not found", shape: .errorWithDetails)
    }
    return .json(200, TransactionView(context: .byReference).json(transaction))
  }

  /// Moves the whole amount or nothing.
  private mutating func post(_ transaction: inout Transaction) throws(CoreError) {
    let parts = try parts(of: transaction)
    transaction.source = try balanceID(transaction.source, transaction.currency)
    let available = balances[transaction.source]?.amounts.balance ?? 0
    guard transaction.allowsOverdraft || available >= transaction.preciseAmount else {
      throw CoreError(
        400, "TXN_INSUFFICIENT_FUNDS", "failed to apply transaction to balances: insufficient funds in source balance")
    }
    var targets: [(id: String, amount: Int128)] = []
    for part in parts { targets.append((try balanceID(part.identifier, transaction.currency), part.amount)) }
    if transaction.destinations.isEmpty { transaction.destination = targets[0].id }
    let time = transaction.createdAt
    for target in targets {
      balances.update(transaction.source) { $0.move(debit: target.amount, at: time) }
      balances.update(target.id) { $0.move(credit: target.amount, at: time) }
    }
  }

  private func parts(of transaction: Transaction) throws(CoreError) -> [(identifier: String, amount: Int128)] {
    guard !transaction.destinations.isEmpty else { return [(transaction.destination, transaction.preciseAmount)] }
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
    return zip(transaction.destinations, fixed).map { destination, amount in
      guard destination.distribution == "left" else { return (destination.identifier, amount ?? 0) }
      defer { left = 0 }
      return (destination.identifier, left)
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
