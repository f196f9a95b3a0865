/// `POST /:id/metadata`: merges members into the metadata of the record with that id, whatever its kind.
extension SandboxLedger {
  private static let shape = BodyShape(type: "model.UpdateMetadataRequest", fields: [("meta_data", .map)])

  mutating func updateMetadata(_ id: String, _ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    let added = try Self.shape.read(body).map("meta_data")
    guard added != .null else {
      throw .malformed(
        "Key: 'UpdateMetadataRequest.MetaData' Error:Field validation for 'MetaData' failed on the 'required' tag")
    }
    let merged = try metaData(of: id).merging(added)
    ledgers.update(id) { $0.metaData = merged }
    identities.update(id) { $0.metaData = merged }
    balances.update(id) { $0.metaData = merged }
    transactions.update(id) { $0.metaData = merged }
    count(.changed(id: id))
    return .json(200, ["meta_data": merged])
  }

  private func metaData(of id: String) throws(CoreError) -> JSONValue {
    if let ledger = ledgers[id] { return ledger.metaData }
    if let identity = identities[id] { return identity.metaData }
    if let balance = balances[id] { return balance.metaData }
    if let transaction = transactions[id] { return transaction.metaData }
    switch id.prefix(4) {
    case "idt_": throw .missing("Identity", code: "IDT_NOT_FOUND", id: id)
    case "bln_": throw .missing("Balance", code: "BAL_NOT_FOUND", id: id)
    case "txn_": throw .missing("Transaction", code: "TXN_NOT_FOUND", id: id)
    default: throw CoreError(404, "LGR_NOT_FOUND", "Ledger not found", shape: .errorWithDetails)
    }
  }
}

extension JSONValue {
  /// The members of both, sorted as Go encodes a map; those of `added` win.
  func merging(_ added: JSONValue) -> JSONValue {
    guard case .object(let new) = added else { return self }
    var kept: [JSONMember] = []
    if case .object(let own) = self { kept = own }
    kept.removeAll { member in new.contains { $0.key.hasSameBytes(as: member.key) } }
    return .object((kept + new).sorted { $0.key.precedesByBytes($1.key) })
  }
}
