package import Bytes

/// Why an introspection endpoint's answer cannot be used. The message quotes nothing of the answer.
package struct IntrospectionFault: Error, Equatable, Sendable {
  package let message: String
}

/// What an introspection endpoint says about an active token (RFC 7662 §2.2), without any decision.
///
/// Bound: `textBytesMax` bytes of text.
package final class IntrospectionAnswer: Sendable {
  package let clientID: ByteText?
  package let subject: ByteText?
  package let issuer: ByteText?
  /// nil: the answer has no `aud`.
  package let audiences: [ByteText]?
  package let scopes: [ByteText]
  /// Seconds since 1970, like the other times.
  package let expiry: Int64?
  package let notBefore: Int64?
  package let issuedAt: Int64?
  /// The members that say what the token is for: `token_use`, `typ` and `token_type`.
  package let uses: [String]
  /// Whether only the holder of a key may use the token (`cnf`, RFC 8705 §3.1, RFC 9449 §6.1).
  package let isBoundToKey: Bool

  /// The longest answer, and the most text of it that is kept.
  package static let bytesMax = 64 << 10
  static let textBytesMax = 8 << 10

  private init(_ reader: Reader) {
    clientID = reader.clientID
    subject = reader.subject
    issuer = reader.issuer
    audiences = reader.audiences
    scopes = reader.scopes
    expiry = reader.expiry
    notBefore = reader.notBefore
    issuedAt = reader.issuedAt
    uses = reader.uses
    isBoundToKey = reader.isBoundToKey
  }

  /// Reads the body of a response with status 200; nil: the token is not active.
  ///
  /// Strict: a repeated key, a member of another type, and text after the object are faults.
  package static func read(_ body: [UInt8]) throws(IntrospectionFault) -> IntrospectionAnswer? {
    guard body.count <= bytesMax else {
      throw IntrospectionFault(message: "the answer is longer than \(bytesMax >> 10) KiB")
    }
    let (root, faults) = JSONReader.read(body)
    guard let root, faults.isEmpty, case .object(let members) = root.value else {
      throw IntrospectionFault(message: "the answer is not a JSON object without repeated keys")
    }
    var reader = Reader()
    for member in members { try reader.read(member) }
    guard let isActive = reader.isActive else {
      throw IntrospectionFault(message: "the answer has no \"active\" that is true or false")
    }
    guard isActive else { return nil }
    guard reader.textBytes <= textBytesMax else {
      throw IntrospectionFault(message: "the answer has more than \(textBytesMax >> 10) KiB of text that matters")
    }
    return IntrospectionAnswer(reader)
  }
}

/// The members read so far.
private struct Reader {
  var isActive: Bool?
  var clientID: ByteText?
  var subject: ByteText?
  var issuer: ByteText?
  var audiences: [ByteText]?
  var scopes: [ByteText] = []
  var expiry: Int64?
  var notBefore: Int64?
  var issuedAt: Int64?
  var uses: [String] = []
  var isBoundToKey = false
  var textBytes = 0

  /// `null` counts as absent; members that decide nothing are ignored.
  mutating func read(_ member: JSONMember) throws(IntrospectionFault) {
    let (key, value) = (member.key, member.node.value)
    if case .null = value, key != "active" { return }
    switch ByteText(key) {
    case "active":
      guard case .bool(let flag) = value else { throw Self.fault(key, "true or false") }
      isActive = flag
    case "client_id": clientID = ByteText(try text(value, key))
    case "sub": subject = ByteText(try text(value, key))
    case "iss": issuer = ByteText(try text(value, key))
    case "aud": audiences = try texts(value, key)
    case "scope": scopes = try text(value, key).split(separator: " ").map { ByteText(String($0)) }
    case "exp": expiry = try time(value, key, .down)
    case "nbf": notBefore = try time(value, key, .up)
    case "iat": issuedAt = try time(value, key, .down)
    case "token_use", "typ", "token_type": uses.append(try text(value, key))
    case "cnf": isBoundToKey = true
    default: break
    }
  }

  private mutating func text(_ value: JSONNode.Value, _ key: String) throws(IntrospectionFault) -> String {
    guard case .string(let text) = value else { throw Self.fault(key, "a string") }
    textBytes += text.utf8.count
    return text
  }

  /// RFC 7519 §4.1.3: one string, or a list of strings.
  private mutating func texts(_ value: JSONNode.Value, _ key: String) throws(IntrospectionFault) -> [ByteText] {
    guard case .array(let elements) = value else { return [ByteText(try text(value, key))] }
    var texts: [ByteText] = []
    for element in elements {
      guard case .string = element.value else { throw Self.fault(key, "a string or a list of strings") }
      texts.append(ByteText(try text(element.value, key)))
      // So that a list of empty strings is bounded, too.
      textBytes += 16
    }
    return texts
  }

  /// RFC 7519 §2: a number of seconds, which may have a fraction.
  private func time(
    _ value: JSONNode.Value, _ key: String, _ rounding: FloatingPointRoundingRule
  ) throws(IntrospectionFault) -> Int64 {
    guard case .number(let text) = value else { throw Self.fault(key, "a number") }
    if let seconds = Int64(text) { return seconds }
    guard let seconds = Double(text).flatMap({ Int64(exactly: $0.rounded(rounding)) }) else {
      throw Self.fault(key, "a time in seconds since 1970")
    }
    return seconds
  }

  private static func fault(_ key: String, _ wanted: String) -> IntrospectionFault {
    IntrospectionFault(message: "\"\(key)\" in the answer is not \(wanted)")
  }
}

/// Why an active token is refused nevertheless.
package enum AnswerRefusal: UInt8, Error, Equatable, Sendable, CaseIterable {
  case wrongKind, boundToKey, wrongIssuer, wrongAudience, expired, notYetValid, unknownClient, ambiguousClient, tooOld

  /// For the operator.
  package var text: String {
    switch self {
    case .wrongKind: "the server says that it is not an access token (token_use, typ or token_type)"
    case .boundToKey: "the token is bound to a key (cnf), and the gateway does not verify such proofs"
    case .wrongIssuer: "\"iss\" in the answer is not the provider's \"issuer\""
    case .wrongAudience: "\"aud\" in the answer does not contain the provider's \"audience\""
    case .expired: "\"exp\" in the answer has passed"
    case .notYetValid: "\"nbf\" in the answer is in the future"
    case .unknownClient: "the provider's \"clients\" map neither its client_id nor its sub to a client"
    case .ambiguousClient: "the provider's \"clients\" map its client_id and its sub to different clients"
    case .tooOld: "\"iat\" in the answer is before the client's \"tokens_not_before\", or there is none"
    }
  }

  package var rejection: Rejection {
    switch self {
    case .expired: .tokenExpired
    case .tooOld: .tokenRevoked
    case .wrongKind, .boundToKey, .wrongIssuer, .wrongAudience, .notYetValid, .unknownClient, .ambiguousClient:
      .tokenUnknown
    }
  }
}

extension IntrospectionAnswer {
  /// Servers set `nbf` to their own time of issue, and clocks differ.
  static let notBeforeLeewaySeconds: Int64 = 5

  /// Whether the token is an access token for this gateway, and valid now.
  func check(_ provider: IntrospectionProvider, at now: UnixSeconds) throws(AnswerRefusal) {
    guard uses.allSatisfy(Self.isAccessToken) else { throw .wrongKind }
    guard !isBoundToKey else { throw .boundToKey }
    if let issuer = provider.issuer, self.issuer != issuer { throw .wrongIssuer }
    if let audience = provider.audience, audiences?.contains(audience) != true { throw .wrongAudience }
    if let expiry, expiry <= now.rawValue { throw .expired }
    if let notBefore, notBefore > now.rawValue + Self.notBeforeLeewaySeconds { throw .notYetValid }
  }

  /// The values of `token_use`, `typ` and `token_type` that servers give access tokens. Others are refused: refresh
  /// tokens and ID tokens can be active, too.
  private static func isAccessToken(_ use: String) -> Bool {
    let known = ["bearer", "access_token", "access-token", "access", "at+jwt", "application/at+jwt", "jwt"]
    return known.contains { $0.utf8.elementsEqual(use.utf8.lazy.map(\.asciiLowercased)) }
  }
}

extension UInt8 {
  fileprivate var asciiLowercased: UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self
  }
}
