/// Balance queries other than by id: by indicator, at a point in time, and fund lineage.
extension SandboxLedger {
  func getBalance(indicator: String, currency: String) throws(CoreError) -> SandboxResponse {
    guard let balance = balance(indicator: indicator, currency: currency) else {
      throw CoreError(404, "BAL_NOT_FOUND", "balance with indicator '\(indicator)' not found")
    }
    return .json(200, BalanceView(context: .one).json(balance))
  }

  func getBalanceAt(_ id: String, _ query: SandboxQuery) throws(CoreError) -> SandboxResponse {
    let text = query["timestamp"] ?? ""
    let time: GoTimeText
    do { time = try GoTimeText(text.isEmpty ? now().wholeSecondsText : text) } catch {
      throw CoreError(
        400, "BAL_INVALID_TIMESTAMP",
        "invalid timestamp format. Please use ISO 8601 format (e.g., 2024-01-01T15:04:05Z)")
    }
    guard let balance = balances[id] else {
      throw CoreError(404, "BAL_NOT_FOUND", "Balance '\(id)' not found", shape: .errorWithDetails)
    }
    let amounts = balance.amounts(at: time.seconds)
    return .json(
      200,
      [
        "balance": [
          "balance": .integer(amounts.balance), "balance_id": .string(id), "credit_balance": .integer(amounts.credit),
          "currency": .string(balance.currency), "debit_balance": .integer(amounts.debit),
        ],
        "from_source": .bool(["true", "1"].contains(query["from_source"])),
        "timestamp": .string(time.wholeSecondsText),
      ])
  }

  /// Returns the right shape with no content: the sandbox does not track funds.
  func getLineage(_ id: String) throws(CoreError) -> SandboxResponse {
    guard try balance(id).tracksFundLineage else {
      throw CoreError(400, "GEN_BAD_REQUEST", "balance \(id) does not have fund lineage tracking enabled")
    }
    return .json(
      200,
      [
        "balance_id": .string(id), "total_with_lineage": .integer(0), "aggregate_balance_id": "",
        "providers": .array([]),
      ])
  }
}
