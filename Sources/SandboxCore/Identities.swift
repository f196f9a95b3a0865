import FoundationEssentials

/// A person or organization that owns balances.
struct Identity {
  let id: String
  /// By JSON name; contains every name of `textFields`.
  private(set) var texts: [String: String]
  private(set) var birth: String
  let createdAt: GoTime
  var metaData: JSONValue
  /// The original texts of tokenized fields, by Go name.
  var originals: [String: String] = [:]

  /// In the order of a response.
  private static let textFields = [
    "identity_type", "organization_name", "category", "first_name", "last_name", "other_names", "gender",
    "email_address", "phone_number", "nationality", "street", "country", "state", "post_code", "city",
  ]

  static let shape = BodyShape(
    type: "model.Identity",
    fields: [("identity_id", .string), ("dob", .time), ("created_at", .time), ("meta_data", .map)]
      + textFields.map { ($0, .string) })

  init(_ body: BoundBody, id: String, createdAt: GoTime) {
    self.id = id
    self.createdAt = createdAt
    texts = Dictionary(uniqueKeysWithValues: Self.textFields.map { ($0, body.string($0)) })
    birth = body.string("dob").isEmpty ? GoTime.zeroText : body.string("dob")
    metaData = body.map("meta_data")
  }

  /// Applies the non-empty members of the body. Returns false if there are none.
  mutating func update(_ body: BoundBody) -> Bool {
    let changed = Self.textFields.filter { !body.string($0).isEmpty }
    for name in changed { texts[name] = body.string(name) }
    let newBirth = body.string("dob")
    if !newBirth.isEmpty { birth = newBirth }
    let newMetaData = body.map("meta_data")
    if newMetaData != .null { metaData = newMetaData }
    return !changed.isEmpty || !newBirth.isEmpty || newMetaData != .null
  }

  func text(_ name: String) -> String { texts[name] ?? "" }

  mutating func setText(_ name: String, _ text: String) { texts[name] = text }

  var json: JSONValue { json(createdAt: createdAt.roundedToMicroseconds) }

  func json(createdAt: GoTime) -> JSONValue {
    let texts = Self.textFields.map { JSONMember($0, .string(text($0))) }
    return .object(
      [JSONMember("identity_id", .string(id))] + texts + [
        JSONMember("dob", .string(birth)), JSONMember("created_at", .string(createdAt.text)),
        JSONMember("meta_data", metaData),
      ])
  }

  /// The identity embedded in a balance: without type, organization and metadata.
  var includedJSON: JSONValue {
    var included = self
    included.texts["identity_type"] = ""
    included.texts["organization_name"] = ""
    included.metaData = .null
    return included.json
  }
}

extension SandboxLedger {
  func identity(_ id: String) throws(CoreError) -> Identity {
    guard let identity = identities[id] else { throw .missing("Identity", code: "IDT_NOT_FOUND", id: id) }
    return identity
  }

  mutating func createIdentity(_ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    let bound = try Identity.shape.read(body)
    let id = try identityID(chosen: bound.string("identity_id"))
    try checkCapacity()
    let identity = Identity(bound, id: id, createdAt: now())
    identities.insert(identity, id: id)
    count(.created(id: id))
    return .json(201, identity.json(createdAt: identity.createdAt))
  }

  mutating func updateIdentity(_ id: String, _ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    let bound = try Identity.shape.read(body)
    guard var identity = identities[id] else { throw missingForWrite(id) }
    guard identity.update(bound) else { throw CoreError(400, "GEN_BAD_REQUEST", "No fields provided for update") }
    identities.update(id) { $0 = identity }
    count(.changed(id: id))
    return .json(200, ["message": "Identity updated successfully"])
  }

  mutating func deleteIdentity(_ id: String) throws(CoreError) -> SandboxResponse {
    guard identities[id] != nil else { throw missingForWrite(id) }
    identities.remove(id)
    count(.changed(id: id))
    return .json(200, ["message": "Identity deleted successfully"])
  }

  private func identityID(chosen: String) throws(CoreError) -> String {
    guard !chosen.isEmpty else { return makeID("idt") }
    guard chosen.hasPrefix("idt_") else {
      throw CoreError(
        400, "IDT_VALIDATION_ERROR", "identity_id must start with 'idt_'", shape: .errorWithDetails)
    }
    guard UUID(uuidString: String(chosen.dropFirst(4))) != nil else {
      throw CoreError(
        400, "IDT_VALIDATION_ERROR", "identity_id suffix after 'idt_' must be a valid UUID", shape: .errorWithDetails)
    }
    guard identities[chosen] == nil else {
      throw switch dialect {
      case .measured:
        CoreError(400, "IDT_VALIDATION_ERROR", "Identity already exists: \(chosen)", shape: .errorWithDetails)
      case .documented:
        CoreError(409, "GEN_CONFLICT", "Identity with ID '\(chosen)' already exists", shape: .errorWithDetails)
      }
    }
    return chosen
  }

  /// Core's writes find no row to update and add no `details`, unlike its reads.
  private func missingForWrite(_ id: String) -> CoreError {
    CoreError(404, "IDT_NOT_FOUND", "Identity with ID '\(id)' not found")
  }
}
