package import Digests
package import OAuth

/// Revoked tokens and clients: `revoked.json`.
///
/// Read before the other files and independently of them, so that a revocation takes effect even if they are faulty.
package struct Revocations: Equatable, Sendable {
  static let fileName = "revoked.json"
  private static let entriesMax = 1_000_000

  package private(set) var tokens: Set<Digest> = []
  package private(set) var clients: Set<String> = []
  /// Ids of signed tokens and of grants.
  package private(set) var tokenIDs: Set<TokenID> = []
  /// The digest of the file; nil: there is no file.
  private(set) var digest: Digest?

  package init() {}

  /// Reads the file, if it exists.
  ///
  /// - Parameter last: the revocations in force. They stay in force if the file is faulty or missing, which is an error.
  init(_ reading: FolderReading, following last: Revocations?, log: FindingLog) {
    let (read, fault) = log.contain(if: last != nil) { Self.read(reading, wasInForce: last?.digest != nil, log) }
    self = fault == nil ? read ?? Revocations() : last ?? Revocations()
  }

  private static func read(_ reading: FolderReading, wasInForce: Bool, _ log: FindingLog) -> Revocations? {
    let remedy = "it existed before, and its revocations stay in force: restore it, with empty lists to revoke nothing"
    guard let root = reading.root(of: fileName, whenAbsent: wasInForce ? remedy : nil, log: log) else { return nil }
    var revocations = Revocations()
    revocations.digest = reading.digest(of: fileName)
    guard let members = root.members(["revoked", schemaKey]),
      let lists = members.required("revoked")?.members(["tokens", "token_ids", "clients"])
    else { return nil }
    members.readSchema()
    for field in lists["tokens"]?.elements() ?? [] {
      if let digest = field.tokenDigest() { revocations.tokens.insert(digest) }
    }
    for field in lists["token_ids"]?.elements() ?? [] {
      guard let text = field.string() else { continue }
      guard let id = TokenID(hex: text) else {
        field.error("must be 24 hex digits, as `blnk-gateway audit grants` prints them")
        continue
      }
      revocations.tokenIDs.insert(id)
    }
    for field in lists["clients"]?.elements() ?? [] {
      guard let name = field.string() else { continue }
      guard ClientID(name) != nil else {
        field.error("a client name \(nameRule)")
        continue
      }
      revocations.clients.insert(name)
    }
    if revocations.tokens.count + revocations.tokenIDs.count + revocations.clients.count > entriesMax {
      root.error("has more than \(entriesMax) entries; remove those of tokens and clients that no longer exist")
    }
    return revocations
  }

  /// Reports entries that revoke nothing, such as a mistyped client name.
  func reportUnused(in policy: Policy, _ reading: FolderReading, log: FindingLog) {
    guard !clients.isEmpty || !tokens.isEmpty else { return }
    let file = "\(reading.folder.path)/\(Self.fileName)"
    let known = Set(policy.clients.map(\.id.text))
    for name in clients.subtracting(known).sorted() {
      log.append(
        Finding(
          .warning, file: file, keyPath: "revoked.clients",
          message: "there is no client \"\(name)\"\(suggestion(for: name, among: known))"))
    }
    let unknown = tokens.count { policy.tokens.index(of: $0) == nil }
    // The other tokens may be signed ones, or those of an introspection provider.
    if unknown > 0, policy.introspection == nil, policy.settings.oauth == nil {
      log.append(
        Finding(
          .note, file: file, keyPath: "revoked.tokens",
          message: "\(unknown) of \(tokens.count) tokens belong to no client; their entries can be removed"))
    }
  }
}

extension Policy {
  /// A copy with these tokens and clients revoked.
  package func revoking(_ revocations: Revocations) -> Policy {
    let file = revocations.digest.map { PolicyFile(name: Revocations.fileName, digest: $0) }
    guard !revocations.tokens.isEmpty || !revocations.clients.isEmpty || !revocations.tokenIDs.isEmpty else {
      return file == nil ? self : with(clients, tokens, file)
    }
    let names = Set(revocations.clients.map { Array($0.utf8)[...] })
    return with(
      names.isEmpty ? clients : clients.revoking { names.contains($0) }, tokens.revoking(revocations.tokens), file,
      revokedIDs: revocations.tokenIDs, revokedTokens: revocations.tokens)
  }
}
