/// `PUT /balances/:id/identity`: assigns a balance to an identity.
extension SandboxLedger {
  private static let shape = BodyShape(type: "model.UpdateBalanceIdentity", fields: [("identity_id", .string)])

  mutating func linkIdentity(balance id: String, _ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    let identityID = try Self.shape.read(body).string("identity_id")
    switch dialect {
    case .measured: try checkLink(id, identityID)
    case .documented: try checkLinkAsDocumented(id, identityID)
    }
    balances.update(id) { $0.identityID = identityID }
    count(.changed(id: id))
    return .json(200, ["message": "Balance identity updated successfully"])
  }

  private func checkLink(_ id: String, _ identityID: String) throws(CoreError) {
    guard !identityID.isEmpty else {
      throw .malformed(
        "Key: 'UpdateBalanceIdentity.IdentityId' Error:Field validation for 'IdentityId' failed on the 'required' tag")
    }
    _ = try balance(id)
    // Core reports an unknown identity with the code for balances.
    guard identities[identityID] != nil else { throw .missing("Identity", code: "BAL_NOT_FOUND", id: identityID) }
  }

  /// The errors of Blnk's documents: "Update balance identity", Error Responses.
  private func checkLinkAsDocumented(_ id: String, _ identityID: String) throws(CoreError) {
    guard !id.isEmpty else { throw .documented("balance id is required. pass id in the route /:id") }
    guard !identityID.isEmpty else { throw .documented("identity_id is required") }
    guard balances[id] != nil else { throw .documented("balance validation failed: balance not found") }
    guard identities[identityID] != nil else { throw .documented("identity validation failed: identity not found") }
  }
}
