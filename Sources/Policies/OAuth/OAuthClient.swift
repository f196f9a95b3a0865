import Digests

/// What a client needs to get tokens from the gateway's token endpoint: the `oauth` of an entry in `clients.json`.
package struct OAuthClient: Equatable, Sendable {
  /// A client secret, by its digest.
  struct Secret: Equatable, Sendable {
    let digest: Digest
    /// nil: never.
    let expiry: UnixSeconds?
    let note: String?
  }

  var secrets: [Secret] = []
  /// Where authorization codes may be sent, compared as text (RFC 9700 §4.1.3).
  var redirectURIs: [String] = []
  /// The client's scopes as the file names them, aliases included; `*`: all.
  var scopes: [String] = []

  static let secretsMax = 16
  static let redirectURIsMax = 16
}

extension OAuthClient {
  /// Whether one of its secrets has this digest and has not expired.
  ///
  /// Always makes as many comparisons as a client can have secrets, so that the time reveals neither which one matches
  /// nor whether there is such a client.
  func accepts(_ digest: Digest, at now: UnixSeconds) -> Bool {
    var isAccepted = false
    for index in 0..<Self.secretsMax {
      let secret = index < secrets.count ? secrets[index] : Self.noSecret
      let isValid = secret.expiry.map { $0 > now } ?? true
      let isEqual = secret.digest == digest
      isAccepted = isEqual && isValid && index < secrets.count || isAccepted
    }
    return isAccepted
  }

  private static let noSecret = Secret(digest: SHA256.digest(of: [UInt8]().span), expiry: nil, note: nil)

  /// - Parameter scopes: the `scopes` of the same client.
  init?(_ field: Field, scopes: Field?, now: UnixSeconds) {
    guard let members = field.members(["secrets", "redirect_uris"]) else { return nil }
    guard let secretFields = members.required("secrets")?.elements() else { return nil }
    if secretFields.count > Self.secretsMax { field.error("must have at most \(Self.secretsMax) secrets") }
    secrets = secretFields.prefix(Self.secretsMax).compactMap { field in OAuthClient.Secret(field, now: now) }
    for (index, secret) in secrets.enumerated() where secrets[..<index].contains(where: { $0.digest == secret.digest })
    {
      field.error("two \"secrets\" are the same")
    }
    let uriFields = members["redirect_uris"]?.elements() ?? []
    if uriFields.count > Self.redirectURIsMax {
      field.error("must have at most \(Self.redirectURIsMax) \"redirect_uris\"")
    }
    redirectURIs = uriFields.compactMap { field in field.redirectURI() }
    if let scopes { self.scopes = Self.names(in: scopes) }
  }
}

extension OAuthClient {
  /// The strings of a list, each once. Its reader reports its faults.
  private static func names(in list: Field) -> [String] {
    guard case .array(let nodes) = list.node.value else { return [] }
    var (names, known) = ([String](), Set<String>())
    for node in nodes {
      if case .string(let name) = node.value, known.insert(name).inserted { names.append(name) }
    }
    return names
  }
}

extension OAuthClient.Secret {
  fileprivate init?(_ field: Field, now: UnixSeconds) {
    guard let members = field.members(["sha256", "expires", "note"]) else { return nil }
    let expiry = members["expires"].flatMap { $0.isNull ? nil : $0.time() }
    let note = members["note"]?.label()
    guard let digestField = members.required("sha256"), let text = digestField.string() else { return nil }
    guard let digest = Digest(hex: text) else {
      digestField.error(
        "must be the 64 hex digits of the secret's SHA-256, as `blnk-gateway client secret new` writes them")
      return nil
    }
    if let expiry, expiry <= now { field.note("the secret has expired") }
    self.init(digest: digest, expiry: expiry, note: note)
  }
}

extension Field {
  func time() -> UnixSeconds? {
    guard let text = string() else { return nil }
    guard let time = UnixSeconds(rfc3339: text) else {
      return fail("must be an RFC 3339 time such as 2027-01-01T00:00:00Z")
    }
    return time
  }

  /// RFC 6749 §3.1.2: an absolute URI without a fragment.
  fileprivate func redirectURI() -> String? {
    guard let text = string() else { return nil }
    let bytes = Array(text.utf8)
    let scheme = bytes.prefix { byte in
      isAlphanumeric(byte) || [UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains(byte)
    }
    // RFC 3986 §3.1: a scheme starts with a letter.
    let startsWithLetter = scheme.first.map { isAlphanumeric($0) && !isDecimalDigit($0) } ?? false
    let isAbsolute = startsWithLetter && bytes.dropFirst(scheme.count).first == UInt8(ascii: ":")
    guard bytes.count <= 2_048, isAbsolute, bytes.count > scheme.count + 1,
      bytes.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") })
    else {
      return fail("must be an absolute URI of at most 2048 characters without a fragment (RFC 6749 §3.1.2)")
    }
    return text
  }
}
