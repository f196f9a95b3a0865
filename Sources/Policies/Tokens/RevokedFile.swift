package import Digests
package import OAuth

/// `revoked.json`, for listing and adding entries; independent of the other files.
package struct RevokedFile {
  package static let name = Revocations.fileName

  /// The file's path, as findings show it.
  private let file: String
  /// nil: the file does not exist.
  private let text: [UInt8]?
  private let root: JSONNode?
  package let revocations: Revocations
  /// What prevents editing the file.
  package let findings: [Finding]

  package init(_ folder: PolicyFolder) {
    let (reading, log) = (FolderReading(folder), FindingLog())
    file = "\(folder.path)/\(Self.name)"
    revocations = Revocations(reading, following: nil, log: log)
    text = try? reading.content(file, byteCountMax: JSONReader.byteCountMax).bytes
    root = reading.root(of: Self.name, log: FindingLog())?.node
    findings = log.findings
  }

  /// The file with one more token or client.
  package func adding(_ entry: RevokedEntry) -> FileEdit {
    FileEdit(file: file, before: text, after: added(entry) ?? new(entry))
  }

  private func new(_ entry: RevokedEntry) -> [UInt8] {
    let keys = entry.key == "token_ids" ? ["tokens", "token_ids", "clients"] : ["tokens", "clients"]
    let lists = keys.map { key in
      let list = key == entry.key ? "[\n      \(entry.text)\n    ]" : "[]"
      return "    \"\(key)\": \(list)"
    }
    return Array("{\n  \"revoked\": {\n\(lists.joined(separator: ",\n"))\n  }\n}\n".utf8)
  }

  /// nil: the file has no list to add to.
  private func added(_ entry: RevokedEntry) -> [UInt8]? {
    guard let text, let lists = root?["revoked"], case .object(let members) = lists.node.value, !members.isEmpty else {
      return nil
    }
    var splices = JSONSplices(text)
    if let list = lists.node[entry.key] {
      splices.append(entry.text, to: list, in: lists)
    } else {
      splices.appendList(entry.key, of: entry.text, to: lists)
    }
    return splices.result
  }
}

/// An entry of `revoked.json`: one token, a token or grant of the token endpoint, or all present and future tokens of a
/// client.
package enum RevokedEntry {
  case token(Digest)
  case signed(TokenID)
  case client(String)

  fileprivate var key: String {
    switch self {
    case .token: "tokens"
    case .signed: "token_ids"
    case .client: "clients"
    }
  }

  fileprivate var text: String {
    switch self {
    case .token(let digest): "\"\(digest.hex)\""
    case .signed(let id): "\"\(id.hex)\""
    case .client(let id): jsonString(id)
    }
  }
}
