/// A ledger: a named group of balances.
struct Ledger {
  let id: String
  let name: String
  let createdAt: GoTime
  var metaData: JSONValue

  private static let shape = BodyShape(type: "model.CreateLedger", fields: [("name", .string), ("meta_data", .map)])

  init(id: String, name: String, createdAt: GoTime, metaData: JSONValue) {
    self.id = id
    self.name = name
    self.createdAt = createdAt
    self.metaData = metaData
  }

  /// For ledgers, Core reports a malformed body in the validation shape.
  init(_ body: [UInt8], id: String, createdAt: GoTime) throws(CoreError) {
    let bound: BoundBody
    do { bound = try Self.shape.read(body) } catch {
      throw CoreError(error.status, error.code, error.message, shape: .validation)
    }
    let name = bound.string("name")
    guard !name.isEmpty else { throw .invalid([("name", "cannot be blank")]) }
    self.init(id: id, name: name, createdAt: createdAt, metaData: bound.map("meta_data"))
  }

  var json: JSONValue { json(createdAt: createdAt.roundedToMicroseconds) }

  func json(createdAt: GoTime) -> JSONValue {
    [
      "ledger_id": .string(id), "name": .string(name), "created_at": .string(createdAt.text), "meta_data": metaData,
    ]
  }
}

extension SandboxLedger {
  mutating func createLedger(_ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    let ledger = try Ledger(body, id: makeID("ldg"), createdAt: now())
    try checkCapacity()
    ledgers.insert(ledger, id: ledger.id)
    count(.created(id: ledger.id))
    return .json(201, ledger.json(createdAt: ledger.createdAt))
  }

  func getLedger(_ id: String) throws(CoreError) -> SandboxResponse {
    guard let ledger = ledgers[id] else {
      throw CoreError(404, "LGR_NOT_FOUND", "Ledger not found", shape: .errorWithDetails)
    }
    return .json(200, ledger.json)
  }
}
