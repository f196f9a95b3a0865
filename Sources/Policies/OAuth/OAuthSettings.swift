import Digests
package import OAuth

/// The gateway's own token endpoint: the `oauth` of `gateway.json`.
package struct OAuthSettings: Sendable {
  /// An https URL without query and fragment (RFC 8414 §2), without a slash at its end.
  package let issuer: String
  /// The path of `issuer`: empty or `/…`.
  package var issuerPath: Substring {
    let afterScheme = issuer.dropFirst("https://".count)
    return afterScheme.firstIndex(of: "/").map { afterScheme[$0...] } ?? ""
  }

  /// The URL of a metadata document: its path comes before that of the issuer (RFC 8414 §3.1, RFC 9728 §3.1).
  func metadataURL(_ name: String) -> String {
    "\(issuer.dropLast(issuerPath.count))/.well-known/\(name)\(issuerPath)"
  }
  /// Whom the tokens are for; default: the issuer.
  package let audience: String
  package let authority: TokenAuthority
  package var accessTokenSeconds = 3_600
  package var refreshTokenSeconds = 2_592_000
  /// The folder in which gateways share revocations, absolute; nil: tokens cannot be revoked one by one.
  package var revocationsFolder: String?
  /// Of the keys, in the order of the file, to tell whether one is used for something else, too; empty: keys were not
  /// read.
  var keyDigests: [Digest] = []

  static let accessTokenSecondsBounds = 60...86_400

  /// How long an authorization code is valid (RFC 6749 §4.1.2 recommends at most 10 minutes).
  package static let codeSeconds = 60
}

extension OAuthSettings {
  /// nil: a fault was recorded.
  init?(_ field: Field, in reading: FolderReading) {
    let known = ["issuer", "audience", "keys", "access_token_s", "refresh_token_s", "revocations"]
    guard let members = field.members(known) else { return nil }
    let issuer = members.required("issuer")?.issuer()
    let audience = members["audience"].map { $0.label(byteCountMax: Self.audienceBytesMax) } ?? issuer
    var digests: [Digest] = []
    let keys = members.required("keys")?.tokenKeys(in: reading, &digests)
    var seconds = (access: 3_600, refresh: 2_592_000)
    members.read("access_token_s", in: Self.accessTokenSecondsBounds, into: &seconds.access)
    members.read("refresh_token_s", in: 3_600...31_536_000, into: &seconds.refresh)
    var folder: String?
    if let field = members["revocations"], !field.isNull {
      folder = field.revocationsFolder(in: reading)
    }
    guard let issuer, let audience, let keys else { return nil }
    self.init(
      issuer: issuer, audience: audience, authority: TokenAuthority(issuer: issuer, audience: audience, keys: keys),
      accessTokenSeconds: seconds.access, refreshTokenSeconds: seconds.refresh, revocationsFolder: folder,
      keyDigests: digests)
  }

  private static let audienceBytesMax = 1_024
}

extension Field {
  /// RFC 8414 §2: a URL that uses https and has no query or fragment.
  fileprivate func issuer() -> String? {
    guard let text = string() else { return nil }
    do throws(InstanceURL.Fault) {
      let url = try InstanceURL(text)
      guard url.isTLS else {
        return fail("must start with https:// (RFC 8414 §2), even if a TLS front forwards to this gateway as http")
      }
      guard text.utf8.count <= 1_024, !text.hasSuffix("/") else {
        return fail("must have at most 1024 characters and no slash at its end")
      }
      return text
    } catch {
      return fail(error.message)
    }
  }

  /// A path outside the policy folder: each revocation would cause a reload.
  fileprivate func revocationsFolder(in reading: FolderReading) -> String? {
    guard let text = label(byteCountMax: 4_096) else { return nil }
    let path = resolved(text, in: reading.folder.path)
    guard !isWithin(path, reading.folder.path) else {
      return fail("must not be inside the policy folder; use a folder outside it")
    }
    if reading.folder.readsKeys, !folderExists(path) {
      note("\(path) does not exist; the gateway creates it when it starts")
    }
    return path
  }

  /// - Parameter digests: gets those of the keys that were read.
  fileprivate func tokenKeys(in reading: FolderReading, _ digests: inout [Digest]) -> [TokenKey]? {
    guard let fields = elements() else { return nil }
    guard (1...8).contains(fields.count) else { return fail("must have 1 to 8 keys") }
    var keys: [TokenKey] = []
    for field in fields {
      guard let key = field.tokenKey(in: reading, &digests) else { return nil }
      guard !keys.contains(where: { $0.clashes(with: key) }) else {
        return field.fail("the ids of keys must be different")
      }
      keys.append(key)
    }
    return keys
  }

  private func tokenKey(in reading: FolderReading, _ digests: inout [Digest]) -> TokenKey? {
    guard let members = members(["id", "env", "file", "credential"]) else { return nil }
    let name = members.required("id").flatMap { field in field.label(byteCountMax: 64) }
    guard let secret = secret(from: members, in: reading), let name else { return nil }
    var bytes = secret.reveal()
    if !reading.folder.readsKeys {
      // The placeholder of a key that is not read.
      bytes = [UInt8](repeating: 0, count: TokenKey.byteCountMin)
    }
    guard bytes.count >= TokenKey.byteCountMin else {
      return fail(
        "the key has \(bytes.count) characters and needs at least \(TokenKey.byteCountMin); make one with "
          + "`openssl rand -hex 32`")
    }
    if reading.folder.readsKeys {
      let digest = SHA256.digest(of: bytes.span)
      if digests.contains(digest) { error("is the same key as another one in \"keys\"; remove one of them") }
      digests.append(digest)
    }
    return TokenKey(name: name, secret: bytes.span)
  }
}

extension OAuthSettings {
  /// Records an error for each key that is something else, too: those who know that secret could sign tokens.
  ///
  /// - Parameters:
  ///   - other: another secret of the policy.
  ///   - description: what the other is, such as `the admin token`.
  ///   - root: that of `gateway.json`.
  func checkKeys(against other: Secret, _ description: String, _ root: Field) {
    guard let index = keyDigests.firstIndex(of: SHA256.digest(of: other.reveal().span)),
      case .array(let keys)? = root.node["oauth"]?.node["keys"]?.node.value
    else { return }
    let field = Field(root: Array(keys)[index], file: root.file, log: root.log)
    field.error(
      "is the same as \(description), so those who know that could sign tokens; make a key for this purpose alone with "
        + "`openssl rand -hex 32`")
  }
}

/// Whether a path is a folder or leads into it.
func isWithin(_ path: String, _ folder: String) -> Bool {
  let outer = canonical(folder)
  return canonical(path) == outer || canonical(path).hasPrefix(outer == "/" ? "/" : outer + "/")
}
