package import Bytes
package import Digests

/// Another OAuth server whose opaque tokens the gateway accepts after asking it (RFC 7662): an entry of `introspection`
/// in `gateway.json`.
package struct IntrospectionProvider: Sendable {
  package let name: String
  /// https, or http to a loopback address.
  package let url: String
  package let clientID: String
  package let clientSecret: Secret
  /// Tokens that begin with one of these belong to this provider, unless another has a longer one.
  package var prefixes: [String] = []
  /// Whether tokens without a known prefix belong to this provider.
  package var isDefault = false
  /// Must be in `aud`; nil: not checked.
  package var audience: ByteText?
  /// Must be `iss`; nil: not checked.
  package var issuer: ByteText?
  /// What each of the server's scopes allows.
  package var scopes: [ByteText: [Scope]] = [:]
  /// Names of clients, by the `client_id` of a token.
  package var clientsByID: [ByteText: String] = [:]
  /// Names of clients, by the `sub` of a token.
  package var clientsBySubject: [ByteText: String] = [:]
  package var cacheSeconds = 10
  package var cacheWriteSeconds = 0
  package var caBundle: PEMFile?
  package var timeoutMilliseconds = 3_000
  /// Of what the answers depend on: where the question goes, and as whom.
  package let definition: Digest

  init(name: String, url: String, clientID: String, clientSecret: Secret, caBundle: PEMFile?) {
    self.name = name
    self.url = url
    self.clientID = clientID
    self.clientSecret = clientSecret
    self.caBundle = caBundle
    var stream = SHA256Stream()
    for part in [Array(name.utf8), Array(url.utf8), Array(clientID.utf8), clientSecret.reveal(), caBundle?.bytes ?? []]
    {
      let digest = SHA256.digest(of: part.span)
      stream.update(Array(digest.hex.utf8).span)
    }
    definition = stream.digest
  }
}

extension [IntrospectionProvider] {
  private static let providersMax = 16

  /// Reads `introspection`.
  init(_ field: Field, in reading: FolderReading) {
    self = []
    guard let entries = field.entries() else { return }
    guard entries.count <= Self.providersMax else {
      field.error("must have at most \(Self.providersMax) servers")
      return
    }
    var prefixes: [String: String] = [:]
    for (name, field) in entries {
      guard ClientID(name) != nil else {
        field.error("the name of a server \(nameRule)")
        continue
      }
      guard let provider = IntrospectionProvider(name, field, in: reading) else { continue }
      for prefix in provider.prefixes {
        if let other = prefixes.updateValue(name, forKey: prefix) {
          field.error("\"prefixes\": \"\(prefix)\" is also one of \(other); a token goes to one server only")
        }
      }
      if provider.isDefault, let other = first(where: \.isDefault) {
        field.error("\"default\" is also true for \(other.name); a token goes to one server only")
      }
      append(provider)
    }
  }
}

extension IntrospectionProvider {
  /// nil: a fault was recorded.
  fileprivate init?(_ name: String, _ field: Field, in reading: FolderReading) {
    let known = [
      "url", "client_id", "client_secret", "prefixes", "default", "audience", "issuer", "scopes", "clients", "cache_s",
      "cache_write_s", "tls", "timeout_s",
    ]
    guard let members = field.members(known) else { return nil }
    let url = members.required("url")?.introspectionURL()
    let clientID = members.required("client_id")?.label(byteCountMax: 1_024)
    let secret = members.required("client_secret")?.secret(in: reading)
    var caBundle: PEMFile?
    if let tls = members["tls"], !tls.isNull, let file = tls.members(["ca_file"])?["ca_file"], !file.isNull {
      guard let read = file.caBundle(in: reading) else { return nil }
      caBundle = read
    }
    let audience = members.required("audience")
    let scopes = members.required("scopes")?.scopeMap()
    let clients = members.required("clients")?.members(["by_client_id", "by_sub"])
    guard let url, let clientID, let secret, let audience, let scopes, let clients else { return nil }
    self.init(name: name, url: url, clientID: clientID, clientSecret: secret, caBundle: caBundle)
    self.scopes = scopes
    if audience.isNull {
      audience.note("every active token of this server counts, whichever service it was issued for")
    } else {
      guard let text = audience.label(byteCountMax: 1_024) else { return nil }
      self.audience = ByteText(text)
    }
    if url.hasSuffix("/protocol/openid-connect/token/introspect") {
      members["url"]?.note(
        "Keycloak 26.6.2 and later answers that a token is not active unless its aud contains \"\(clientID)\"; add an "
          + "audience mapper to the client that gets the tokens")
    }
    if let field = members["issuer"], !field.isNull {
      guard let text = field.label(byteCountMax: 1_024) else { return nil }
      issuer = ByteText(text)
    }
    clientsByID = clients["by_client_id"]?.clientMap() ?? [:]
    clientsBySubject = clients["by_sub"]?.clientMap() ?? [:]
    if clientsByID.isEmpty, clientsBySubject.isEmpty {
      field.error("\"clients\" must map at least one client_id or sub to a client of clients.json")
    }
    prefixes = members["prefixes"]?.tokenPrefixes() ?? []
    members.read("default", into: &isDefault)
    if prefixes.isEmpty, !isDefault { field.error("needs \"prefixes\" of its tokens, or \"default\": true") }
    members.read("cache_s", in: 0...300, into: &cacheSeconds)
    members.read("cache_write_s", in: 0...300, into: &cacheWriteSeconds)
    if cacheWriteSeconds > cacheSeconds {
      members["cache_write_s"]?.error("must be at most \"cache_s\" (\(cacheSeconds))")
    }
    members.read("timeout_s", inSeconds: 0.1...4.5, into: &timeoutMilliseconds)
  }
}

extension Field {
  /// Client secret and tokens go to it, so only a loopback address may be without TLS.
  fileprivate func introspectionURL() -> String? {
    guard let text = string() else { return nil }
    do throws(InstanceURL.Fault) {
      let url = try InstanceURL(text)
      guard url.isTLS || url.isLoopback else {
        return fail("must start with https://: the client secret and tokens are sent to it (http:// only to 127.0.0.1)")
      }
      return text
    } catch {
      return fail(error.message)
    }
  }

  fileprivate func caBundle(in reading: FolderReading) -> PEMFile? {
    guard let name = label(byteCountMax: 4_096) else { return nil }
    let path = resolved(name, in: reading.folder.path)
    guard reading.folder.readsKeys else { return reading.skip(file: path) }
    do throws(FileFault) {
      return reading.pem(path, try reading.content(path, byteCountMax: 16 << 20))
    } catch {
      return fail("the file \(path) \(error.message)")
    }
  }

  fileprivate func scopeMap() -> [ByteText: [Scope]]? {
    guard let entries = entries() else { return nil }
    guard (1...256).contains(entries.count) else { return fail("must map 1 to 256 scopes of the server") }
    var map: [ByteText: [Scope]] = [:]
    for (name, field) in entries {
      guard (1...256).contains(name.utf8.count), !name.contains(" ") else {
        field.error("the name of a scope must have 1 to 256 bytes and no space")
        continue
      }
      guard let fields = field.elements() else { continue }
      map[ByteText(name)] = fields.compactMap { field in
        guard let text = field.string() else { return nil }
        return Scope(text) ?? field.fail(scopeRule)
      }
    }
    return map
  }

  /// Values are names of entries in `clients.json`, which are read later.
  fileprivate func clientMap() -> [ByteText: String]? {
    guard let entries = entries() else { return nil }
    guard entries.count <= 10_000 else { return fail("must have at most 10000 entries") }
    var map: [ByteText: String] = [:]
    for (name, field) in entries {
      guard (1...1_024).contains(name.utf8.count) else {
        field.error("the key must have 1 to 1024 bytes")
        continue
      }
      guard let text = field.string() else { continue }
      guard ClientID(text) != nil else {
        field.error("a client name \(nameRule)")
        continue
      }
      map[ByteText(name)] = text
    }
    return map
  }

  fileprivate func tokenPrefixes() -> [String]? {
    guard let fields = elements() else { return nil }
    guard fields.count <= 16 else { return fail("must have at most 16 prefixes") }
    return fields.compactMap { field in
      guard let text = field.string() else { return nil }
      let bytes = Array(text.utf8)
      guard (1...64).contains(bytes.count), bytes.allSatisfy(\.isTokenCharacter) else {
        return field.fail("must be 1 to 64 characters of a token: letters, digits and -._~+/")
      }
      guard !IntrospectionTable.ownPrefixes.contains(where: { text.hasPrefix($0) || $0.hasPrefix(text) }) else {
        return field.fail("tokens that begin with blnk_ are the gateway's own and are sent to no server")
      }
      return text
    }
  }
}

extension UInt8 {
  fileprivate var isTokenCharacter: Bool {
    isUnreserved(self) || self == UInt8(ascii: "+") || self == UInt8(ascii: "/")
  }
}

extension InstanceURL {
  fileprivate var isLoopback: Bool {
    guard let address = IPAddress(host) else { return host == "localhost" }
    return ["127.0.0.0/8", "::1/128"].compactMap(Network.init).contains { network in network.contains(address) }
  }
}
