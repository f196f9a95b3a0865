/// A client's entry in its file, for listing and editing its tokens.
package struct ClientEntry {
  package let id: String
  package let isRevoked: Bool
  package let tokens: [ListedToken]
  /// Names of the instances that it may use, or `*` alone; nil where the file has no such list.
  package let instances: [String]?
  /// As findings name it.
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

  /// The file with a new token beside an old one, which ends; an earlier end of the old one stays. The new one is bound to
  /// the same instances: with more, it could write to another ledger.
  package func replacing(_ old: ListedToken, with new: NewToken, endingAt end: UnixSeconds) -> FileEdit {
    var new = new
    new.binding = old.binding
    var splices = JSONSplices(text)
    add(new, &splices)
    if old.expiry.map({ $0 > end }) ?? true { self.end(old, at: end, &splices) }
    return FileEdit(file: file, before: text, after: splices.result)
  }

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
      splices.insert("expires", "\"\(end)\"", behind: digest)
    }
  }
}

/// What is to become of one file.
package struct FileEdit {
  /// As findings name it.
  package let file: String
  /// nil: it is not there.
  package let before: [UInt8]?
  package let after: [UInt8]

  /// Where the bytes are, without links: what stands at a link's place stays a link.
  package var target: String { canonical(file) }

  /// Whether the file still holds what the edit began with.
  package var isCurrent: Bool {
    (try? readFile(file, byteCountMax: JSONReader.byteCountMax)) == before
  }

  /// Whether the strict reader takes the result.
  package var isReadable: Bool { JSONReader.read(after).faults.isEmpty }
}

extension JSONNode {
  /// The member of an object with this key.
  subscript(key: String) -> JSONMember? {
    guard case .object(let members) = value else { return nil }
    return members.first { member in member.isNamed(key) }
  }
}
