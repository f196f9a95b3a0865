package import Digests

/// Tokens and clients that are revoked whatever the other files say: `revoked.json`.
///
/// It is read before all other files and needs none of them, so that a revocation takes effect whatever state they are in.
package struct Revocations: Equatable, Sendable {
  static let fileName = "revoked.json"
  private static let entriesMax = 1_000_000

  package private(set) var tokens: Set<Digest> = []
  package private(set) var clients: Set<String> = []
  /// Of the file; nil: there is none.
  private(set) var digest: Digest?

  package init() {}

  /// Reads the file, if there is one.
  ///
  /// - Parameter last: what is in force; it stays so when the file has gone or is faulty, which is an error.
  init(_ reading: FolderReading, following last: Revocations?, log: FindingLog) {
    let (read, fault) = log.contain(if: last != nil) { Self.read(reading, wasThere: last?.digest != nil, log) }
    self = fault == nil ? read ?? Revocations() : last ?? Revocations()
  }

  private static func read(_ reading: FolderReading, wasThere: Bool, _ log: FindingLog) -> Revocations? {
    let wayOut = "it was there before, and what it revoked stays revoked: put it back, if only with empty lists"
    guard let root = reading.root(of: fileName, whenAbsent: wasThere ? wayOut : nil, log: log) else { return nil }
    var revocations = Revocations()
    revocations.digest = reading.digest(of: fileName)
    guard let members = root.members(["revoked", schemaKey]),
      let lists = members.required("revoked")?.members(["tokens", "clients"])
    else { return nil }
    members.readSchema()
    for field in lists["tokens"]?.elements() ?? [] {
      if let digest = field.tokenDigest() { revocations.tokens.insert(digest) }
    }
    for field in lists["clients"]?.elements() ?? [] {
      guard let name = field.string() else { continue }
      guard ClientID(name) != nil else {
        field.error("the name of a client \(nameRule)")
        continue
      }
      revocations.clients.insert(name)
    }
    if revocations.tokens.count + revocations.clients.count > entriesMax {
      root.error("has more than \(entriesMax) entries; remove those of tokens and clients that are gone")
    }
    return revocations
  }

  /// Says which entries revoke nothing: a name that is mistyped revokes nobody.
  func note(unknownTo policy: Policy, _ reading: FolderReading, log: FindingLog) {
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
    if unknown > 0 {
      log.append(
        Finding(
          .note, file: file, keyPath: "revoked.tokens",
          message: "\(unknown) of \(tokens.count) are tokens that no client has; such entries can go"))
    }
  }
}

extension Policy {
  /// The same with these tokens and clients revoked.
  package func revoking(_ revocations: Revocations) -> Policy {
    let file = revocations.digest.map { PolicyFile(name: Revocations.fileName, digest: $0) }
    guard !revocations.tokens.isEmpty || !revocations.clients.isEmpty else {
      return file == nil ? self : with(clients, tokens, file)
    }
    let names = Set(revocations.clients.map { Array($0.utf8)[...] })
    return with(
      names.isEmpty ? clients : clients.revoking { names.contains($0) }, tokens.revoking(revocations.tokens), file)
  }
}
