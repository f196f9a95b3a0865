import FoundationEssentials

/// The fields of an identity that Core can replace with tokens, by their Go names.
enum TokenizableField {
  private static let jsonNames = [
    "FirstName": "first_name", "LastName": "last_name", "OtherNames": "other_names", "EmailAddress": "email_address",
    "PhoneNumber": "phone_number", "Street": "street", "PostCode": "post_code",
  ]

  /// Core capitalizes the first letter.
  static func goName(_ name: String) -> String { name.prefix(1).uppercased() + name.dropFirst() }

  static func jsonName(goName: String) -> String? { jsonNames[goName] }
}

extension Identity {
  private static let memberName = "tokenized_fields"

  /// Go names, sorted. Core's order is random, because it iterates over a Go map.
  var tokenizedFields: [String] {
    guard case .object(let members) = metaData,
      case .object(let fields) = members.first(where: { $0.key == Self.memberName })?.value
    else { return [] }
    return fields.filter { $0.value == .bool(true) }.map(\.key)
  }

  /// Replaces the text with the token, keeps the original, and marks the field in the metadata.
  mutating func tokenize(_ goName: String, _ jsonName: String, token: String) {
    originals[goName] = text(jsonName)
    setText(jsonName, token)
    var fields = tokenizedFields.filter { $0 != goName }
    fields.append(goName)
    let mark = JSONValue.object(fields.sorted().map { JSONMember($0, true) })
    var members: [JSONMember] = []
    if case .object(let known) = metaData { members = known.filter { $0.key != Self.memberName } }
    members.append(JSONMember(Self.memberName, mark))
    metaData = .object(members.sorted { $0.key.precedesByBytes($1.key) })
  }
}

extension SandboxLedger {
  private static let tokenizeShape = BodyShape(type: "model.TokenizeRequest", fields: [("fields", .strings)])
  private static let detokenizeShape = BodyShape(type: "model.DetokenizeRequest", fields: [("fields", .strings)])

  func getTokenizedFields(_ id: String) throws(CoreError) -> SandboxResponse {
    let fields = try identity(id).tokenizedFields
    return .json(200, ["tokenized_fields": .array(fields.map { .string($0) })])
  }

  mutating func tokenize(_ id: String, field: String) throws(CoreError) -> SandboxResponse {
    try tokenizeField(id, field)
    count(.changed(id: id))
    return .json(200, ["message": "Field tokenized successfully"])
  }

  /// Not atomic, like Core: fields before a rejected one stay tokenized.
  mutating func tokenize(_ id: String, _ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    let fields = try Self.required(Self.tokenizeShape.read(body), "TokenizeRequest")
    guard !fields.isEmpty else {
      throw CoreError(400, "GEN_VALIDATION_ERROR", "at least one field must be specified")
    }
    for field in fields { try tokenizeField(id, field) }
    count(.changed(id: id))
    return .json(200, ["message": "Fields tokenized successfully"])
  }

  func detokenize(_ id: String, field: String) throws(CoreError) -> SandboxResponse {
    .json(200, ["field": .string(field), "value": .string(try original(identity(id), field))])
  }

  func detokenize(_ id: String, _ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    let asked = try Self.required(Self.detokenizeShape.read(body), "DetokenizeRequest")
    let identity = try identity(id)
    var members: [JSONMember] = []
    for field in Set(asked.isEmpty ? identity.tokenizedFields : asked).sorted(by: { $0.precedesByBytes($1) }) {
      members.append(JSONMember(field, .string(try original(identity, field))))
    }
    return .json(200, ["fields": .object(members)])
  }

  private mutating func tokenizeField(_ id: String, _ field: String) throws(CoreError) {
    let goName = TokenizableField.goName(field)
    guard let jsonName = TokenizableField.jsonName(goName: goName) else {
      throw CoreError(400, "IDT_FIELD_NOT_TOKENIZABLE", "field \(field) is not tokenizable")
    }
    let identity = try identity(id)
    guard !identity.tokenizedFields.contains(goName) else {
      throw CoreError(409, "IDT_FIELD_ALREADY_TOKENIZED", "field \(field) is already tokenized")
    }
    let token = makeToken(identity.text(jsonName))
    identities.update(id) { $0.tokenize(goName, jsonName, token: token) }
  }

  private func original(_ identity: Identity, _ field: String) throws(CoreError) -> String {
    if let text = identity.originals[TokenizableField.goName(field)],
      identity.tokenizedFields.contains(TokenizableField.goName(field))
    {
      return text
    }
    let metaData =
      identity.metaData == .null ? "" : ". Metadata: " + String(decoding: identity.metaData.bytes, as: UTF8.self)
    throw CoreError(400, "IDT_FIELD_NOT_TOKENIZED", "field \(field) is not tokenized\(metaData)")
  }

  /// Makes a token in Core's format: `FPT:<random letters and digits>:<Base64>`.
  ///
  /// It reveals only the shape of the text: letters become letters of the same case, digits become digits.
  private func makeToken(_ text: String) -> String {
    let random = Array((makeID("") + makeID("")).utf8)
    var index = 0
    let shape = String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { scalar in
          index += 1
          let chance = Int(random[index % random.count]) &+ index
          return switch scalar {
          case "a"..."z": Unicode.Scalar(UInt8(ascii: "a") + UInt8(chance % 26))
          case "A"..."Z": Unicode.Scalar(UInt8(ascii: "A") + UInt8(chance % 26))
          case "0"..."9": Unicode.Scalar(UInt8(ascii: "0") + UInt8(chance % 10))
          default: scalar
          }
        }))
    return "FPT:\(shape):\(Data(random.prefix(text.utf8.count + 28)).base64EncodedString())"
  }

  /// Gin's `required` rejects a nil slice and accepts an empty one.
  private static func required(_ body: BoundBody, _ type: String) throws(CoreError) -> [String] {
    guard let fields = body.strings("fields") else {
      throw .malformed("Key: '\(type).Fields' Error:Field validation for 'Fields' failed on the 'required' tag")
    }
    return fields
  }
}
