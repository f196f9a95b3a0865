/// A client's entry in its file, for listing and editing its tokens and secrets.
package struct ClientEntry {
  package let id: String
  package let isRevoked: Bool
  package let tokens: [ListedToken]
  /// Its client secrets for the token endpoint.
  package let secrets: [ListedToken]
  /// The names of the instances that it may use, or `*` alone; nil: the entry has no such list.
  package let instances: [String]?
  /// The file's path, as findings show it.
  package let file: String
  let member: JSONMember
  let text: [UInt8]

  package func state(
    of token: ListedToken, at now: UnixSeconds, _ revocations: Revocations = Revocations()
  ) -> ListedToken.State {
    if isRevoked || revocations.tokens.contains(token.digest) || revocations.clients.contains(id) { return .revoked }
    guard let expiry = token.expiry, expiry <= now else { return .active }
    return .expired
  }

  /// The file with one more token for the client.
  package func adding(_ token: NewToken) -> FileEdit {
    var splices = JSONSplices(text)
    add(token, &splices)
    return FileEdit(file: file, before: text, after: splices.result)
  }

  /// The file with a new token, and with an end for the old one unless that ends earlier. The new token is bound to the
  /// same instances as the old one: with more, it could write to another ledger.
  package func replacing(_ old: ListedToken, with new: NewToken, endingAt end: UnixSeconds) -> FileEdit {
    var new = new
    new.binding = old.binding
    var splices = JSONSplices(text)
    add(new, &splices)
    if old.expiry.map({ $0 > end }) ?? true { self.end(old, at: end, &splices) }
    return FileEdit(file: file, before: text, after: splices.result)
  }

  /// The file with one more client secret, and with an end for those in `ending` that do not end earlier.
  package func adding(secret: NewToken, ending: [ListedToken] = [], at end: UnixSeconds = .now) -> FileEdit {
    var splices = JSONSplices(text)
    if let oauth = member.node["oauth"], let list = oauth.node["secrets"] {
      splices.append(secret.entry, to: list, in: oauth)
    } else {
      splices.appendList("secrets", of: secret.entry, inNew: "oauth", to: member)
    }
    for old in ending where old.expiry.map({ $0 > end }) ?? true { self.end(old, at: end, &splices) }
    return FileEdit(file: file, before: text, after: splices.result)
  }

  /// The file without a client secret.
  package func removing(secret: ListedToken) -> FileEdit {
    var splices = JSONSplices(text)
    if let list = member.node["oauth"]?.node["secrets"] { splices.remove(secret.object, from: list.node) }
    return FileEdit(file: file, before: text, after: splices.result)
  }

  package static var secretsMax: Int { OAuthClient.secretsMax }

  private func add(_ token: NewToken, _ splices: inout JSONSplices) {
    if let tokens = member.node["tokens"] {
      splices.append(token.entry, to: tokens, in: member)
    } else {
      splices.appendList("tokens", of: token.entry, to: member)
    }
  }

  private func end(_ token: ListedToken, at end: UnixSeconds, _ splices: inout JSONSplices) {
    if let expires = token.object["expires"] {
      splices.replace(expires.node, with: "\"\(end)\"")
    } else if let digest = token.object["sha256"] {
      splices.insert("expires", "\"\(end)\"", after: digest)
    }
  }
}

/// A change of one file that is not written yet.
package struct FileEdit {
  /// The file's path, as findings show it.
  package let file: String
  /// nil: the file does not exist.
  package let before: [UInt8]?
  package let after: [UInt8]

  /// The path to write to, with links resolved, so that a link stays a link.
  package var resolvedPath: String { canonical(file) }

  /// Whether the file's content is still `before`.
  package var isCurrent: Bool {
    (try? readFile(file, byteCountMax: JSONReader.byteCountMax)) == before
  }

  /// Whether the strict reader accepts the result.
  package var isReadable: Bool { JSONReader.read(after).faults.isEmpty }
}

extension JSONNode {
  /// The member of an object with this key.
  subscript(key: String) -> JSONMember? {
    guard case .object(let members) = value else { return nil }
    return members.first { member in member.isNamed(key) }
  }
}
