import Bytes
import Digests
import HTTP1
import OAuth

/// What changes from one policy to another: who may request what, and which tokens there are.
///
/// Compares every credential that a policy accepts, as admission decides about it: tokens of files, client secrets,
/// tokens of the token endpoint, and tokens of other servers. Takes time for each of them; and for each client whose list of
/// instances becomes or was `*`, for each instance.
package struct PolicyDiff: Sendable {
  /// What some clients gain and lose.
  package struct AccessChange: Sendable {
    package fileprivate(set) var subjects: [Subject]
    package let parts: [Part]

    package var isGain: Bool { parts.contains { !$0.gained.isEmpty } }
    package var isLoss: Bool { parts.contains { !$0.lost.isEmpty } }
  }

  package struct Subject: Sendable {
    package let client: String
    /// Whether the old policy has no such client.
    package let isNew: Bool
    package fileprivate(set) var credentials: [String]
  }

  /// Changes on some instances.
  package struct Part: Sendable {
    /// Indices in `cells`.
    package let gained: [Int32]
    package let lost: [Int32]
    /// Indices in `instances`.
    package let instances: [Int32]
  }

  package struct TokenChange: Sendable {
    package enum Kind: String, Sendable {
      case added, removed, revoked, reinstated, expiry, moved, binding
    }

    package let kind: Kind
    package let client: String
    /// `token` or `client secret`.
    package let credential: String
    /// Its first 12 digits, as `token list` shows it.
    package let digest: String
    package let note: String?
    /// What is different, as the end of a sentence.
    package let text: String
  }

  /// Those with gains first.
  package private(set) var access: [AccessChange] = []
  package private(set) var tokens: [TokenChange] = []
  /// Other changes by which someone may gain access, as sentences.
  package private(set) var wider: [String] = []
  /// Routes by their number: `POST /proxy/balances`, with the scopes that the policies require.
  package let cells: [Cell]
  package let instances: [String]
  /// Whether the routes overlap too much to compare all paths.
  package let isComplete: Bool

  package struct Cell: Sendable {
    package let method: String
    package let pattern: String
    package let oldScope: String?
    package let newScope: String?
    /// Indices in the routes of the two policies; -1: none.
    let oldRoute: Int32
    let newRoute: Int32
  }

  /// Whether anyone gains access. If it is unknown, too.
  package var givesAccess: Bool { access.contains(where: \.isGain) || !wider.isEmpty || !isComplete }

  /// - Parameter now: decides which tokens have expired.
  package init(from old: Policy, to new: Policy, at now: UnixSeconds) {
    let comparison = CredentialComparison(old, new, now)
    comparison.compareTokens()
    comparison.compareClients()
    comparison.compareIntrospection()
    let access = comparison.access
    cells = access.paths.cells.map { cell in
      Cell(
        method: cell.method.text.description, pattern: cell.pattern,
        oldScope: cell.old < 0 ? nil : old.routes.routes[Int(cell.old)].scope.text,
        newScope: cell.new < 0 ? nil : new.routes.routes[Int(cell.new)].scope.text, oldRoute: cell.old,
        newRoute: cell.new)
    }
    instances = access.instances.map(\.name)
    isComplete = access.paths.isComplete
    tokens = comparison.tokens
    wider = comparison.wider
    var changes: [Int32: AccessChange] = [:]
    for (key, subject) in comparison.subjects {
      if changes[key.content] == nil {
        let numbers = access.contents[key.content]
        let parts = stride(from: 0, to: numbers.count, by: 3).map { index in
          Part(
            gained: access.cellSets[numbers[index]], lost: access.cellSets[numbers[index + 1]],
            instances: access.instanceSets[numbers[index + 2]])
        }
        changes[key.content] = AccessChange(subjects: [], parts: parts)
      }
      changes[key.content]?.subjects.append(subject)
    }
    for key in changes.keys { changes[key]?.subjects.sort { $0.client < $1.client } }
    self.access = changes.values.sorted { left, right in
      left.isGain == right.isGain ? left.subjects[0].client < right.subjects[0].client : left.isGain
    }
  }
}

/// Collects what changes for each credential of two policies.
private final class CredentialComparison {
  struct Key: Hashable {
    let client: String
    /// In `AccessComparison.contents`.
    let content: Int32
  }

  let old: Policy
  let new: Policy
  let now: UnixSeconds
  let access: AccessComparison
  var subjects: [Key: PolicyDiff.Subject] = [:]
  var tokens: [PolicyDiff.TokenChange] = []
  var wider: [String] = []
  /// The old clients' indices.
  private let oldClients: [ArraySlice<UInt8>: Int]
  private let newClients: [ArraySlice<UInt8>: Int]

  init(_ old: Policy, _ new: Policy, _ now: UnixSeconds) {
    self.old = old
    self.new = new
    self.now = now
    access = AccessComparison(old, new)
    oldClients = old.clients.indicesByID
    newClients = new.clients.indicesByID
  }

  /// Records what changes for a credential.
  private func compare(
    _ client: ArraySlice<UInt8>, _ credential: @autoclosure () -> String, from before: AccessGrant?,
    to after: AccessGrant?
  ) {
    guard let content = access.change(from: before, to: after) else { return }
    let name = String(decoding: client, as: UTF8.self)
    subjects[
      Key(client: name, content: content),
      default: PolicyDiff.Subject(client: name, isNew: oldClients[client] == nil, credentials: [])
    ].credentials.append(credential())
  }

  // MARK: Tokens of files

  func compareTokens() {
    for (index, entry) in new.tokens.entries.enumerated() {
      let before = old.tokens.index(of: entry.digest).map { old.tokens.entries[Int($0)] }
      let client = new.clients.id(of: new.clients.owner(of: Int(entry.clientIndex)))
      let note = String(decoding: new.tokens.note(of: Int32(index)), as: UTF8.self)
      compare(
        client, (before == nil ? "new " : "") + "token \(label(entry.digest, note))",
        from: before.flatMap { old.grant(of: $0, at: now) }, to: new.grant(of: entry, at: now))
      if let (kind, text) = difference(before, entry) { add(kind, client, "token", entry.digest, note, text) }
    }
    for (index, entry) in old.tokens.entries.enumerated() where new.tokens.index(of: entry.digest) == nil {
      let client = old.clients.id(of: old.clients.owner(of: Int(entry.clientIndex)))
      let note = String(decoding: old.tokens.note(of: Int32(index)), as: UTF8.self)
      compare(client, "token \(label(entry.digest, note))", from: old.grant(of: entry, at: now), to: nil)
      add(.removed, client, "token", entry.digest, note, "is removed")
    }
  }

  private func difference(
    _ before: TokenTable.Entry?, _ after: TokenTable.Entry
  ) -> (PolicyDiff.TokenChange.Kind, String)? {
    let bound = Set(boundInstances(new, after))
    let binding = new.isBound(after) ? ", bound to \(bound.sorted().joined(separator: ", "))" : ""
    guard let before else {
      return (.added, after.isRevoked ? "is added, revoked" : "is added; it \(expiryText(after.expiry))\(binding)")
    }
    let (oldRow, newRow) = (Int(before.clientIndex), Int(after.clientIndex))
    let oldOwner = old.clients.id(of: old.clients.owner(of: oldRow))
    if oldOwner != new.clients.id(of: new.clients.owner(of: newRow)) {
      return (.moved, "was a token of \(String(decoding: oldOwner, as: UTF8.self))")
    }
    if before.isRevoked != after.isRevoked {
      return after.isRevoked ? (.revoked, "is revoked") : (.reinstated, "is no longer revoked")
    }
    if before.expiry != after.expiry {
      if !before.hasEnded(at: now), (after.expiry?.rawValue ?? .max) > (before.expiry?.rawValue ?? .max) {
        wider.append(
          "\(String(decoding: oldOwner, as: UTF8.self))'s token \(after.digest.hex.prefix(12)) works longer")
      }
      return (.expiry, "now \(expiryText(after.expiry)); before, it \(expiryText(before.expiry))")
    }
    guard old.isBound(before) != new.isBound(after) || Set(boundInstances(old, before)) != bound else { return nil }
    return (.binding, new.isBound(after) ? "is now\(binding.dropFirst())" : "is no longer bound to instances")
  }

  private func boundInstances(_ policy: Policy, _ entry: TokenTable.Entry) -> [String] {
    guard policy.isBound(entry) else { return [] }
    return (policy.clients.instances(of: Int(entry.clientIndex)) ?? []).map { policy.instances[Int($0)].id.text }
  }

  private func add(
    _ kind: PolicyDiff.TokenChange.Kind, _ client: ArraySlice<UInt8>, _ credential: String, _ digest: Digest,
    _ note: String, _ text: String
  ) {
    tokens.append(
      PolicyDiff.TokenChange(
        kind: kind, client: String(decoding: client, as: UTF8.self), credential: credential,
        digest: String(digest.hex.prefix(12)), note: note.isEmpty ? nil : note, text: text))
  }

  // MARK: Clients

  func compareClients() {
    for (name, index) in newClients.sorted(by: { $0.value < $1.value }) {
      compareOAuth(name, oldClients[name], index)
      if let before = oldClients[name] { compareConditions(name, before, index) }
    }
    for (name, index) in oldClients.sorted(by: { $0.value < $1.value }) where newClients[name] == nil {
      compareOAuth(name, index, nil)
    }
  }

  /// Client secrets, and the tokens of the token endpoint.
  private func compareOAuth(_ name: ArraySlice<UInt8>, _ before: Int?, _ after: Int?) {
    let (oldOAuth, newOAuth) = (
      before.flatMap { old.clients.oauth(of: $0) }, after.flatMap { new.clients.oauth(of: $0) }
    )
    guard oldOAuth != nil || newOAuth != nil else { return }
    let (oldGrant, newGrant) = (before.flatMap(old.signedGrant(of:)), after.flatMap(new.signedGrant(of:)))
    compare(name, "tokens of the token endpoint", from: oldGrant, to: newGrant)
    for secret in newOAuth?.secrets ?? [] {
      let known = oldOAuth?.secrets.first { $0.digest == secret.digest }
      compare(
        name, (known == nil ? "new " : "") + "client secret \(label(secret.digest, secret.note ?? ""))",
        from: known?.isValid(at: now) == true ? oldGrant : nil, to: secret.isValid(at: now) ? newGrant : nil)
      if known == nil {
        add(
          .added, name, "client secret", secret.digest, secret.note ?? "", "is added; it \(expiryText(secret.expiry))")
      } else if let known, known.expiry != secret.expiry {
        add(
          .expiry, name, "client secret", secret.digest, secret.note ?? "",
          "now \(expiryText(secret.expiry)); before, it \(expiryText(known.expiry))")
        if known.isValid(at: now), (secret.expiry?.rawValue ?? .max) > (known.expiry?.rawValue ?? .max) {
          wider.append("\(text(name))'s client secret \(secret.digest.hex.prefix(12)) works longer")
        }
      }
    }
    for secret in oldOAuth?.secrets ?? []
    where newOAuth?.secrets.contains(where: { $0.digest == secret.digest }) != true {
      compare(
        name, "client secret \(label(secret.digest, secret.note ?? ""))",
        from: secret.isValid(at: now) ? oldGrant : nil, to: nil)
      add(.removed, name, "client secret", secret.digest, secret.note ?? "", "is removed")
    }
  }

  /// What else a client's requests must fulfill.
  private func compareConditions(_ name: ArraySlice<UInt8>, _ before: Int, _ after: Int) {
    guard !new.clients.isRevoked(after) else { return }
    if !new.clients.callers(of: after).isWithin(old.clients.callers(of: before)) {
      wider.append("\(text(name)) may call from more networks, or with more certificates or none")
    }
    if let start = old.clients.tokensNotBefore(of: before),
      (new.clients.tokensNotBefore(of: after)?.rawValue ?? .min) < start.rawValue
    {
      wider.append("\(text(name))'s signed tokens from before \(start) are accepted again")
    }
  }

  // MARK: Other servers

  func compareIntrospection() {
    let undone = old.revokedIDs.subtracting(new.revokedIDs).count
    if undone > 0, new.settings.oauth != nil {
      wider.append("\(undone) \(undone == 1 ? "revocation" : "revocations") of signed tokens or grants no longer apply")
    }
    let accepted = old.revokedTokenCount(without: new)
    if accepted > 0, new.introspection != nil || new.settings.oauth != nil {
      wider.append(
        "\(accepted) revoked \(accepted == 1 ? "token" : "tokens") that no client has "
          + "\(accepted == 1 ? "is" : "are") no longer revoked")
    }
    let (before, after) = (old.introspection?.entries ?? [], new.introspection?.entries ?? [])
    for name in Set((before + after).map(\.provider.name)).sorted() {
      compare(
        before.first { $0.provider.name == name }, after.first { $0.provider.name == name }, of: name)
    }
  }

  private func compare(
    _ before: IntrospectionTable.Entry?, _ after: IntrospectionTable.Entry?, of name: String
  ) {
    if let before = before?.provider, let after = after?.provider, !after.accepts(noMoreThan: before) {
      wider.append(
        "introspection.\(name) accepts other tokens: its url, client_id, audience, issuer or prefixes differ")
    }
    // Clients before and after, and what a scope of the server allows before and after.
    var known: Set<[UInt64]> = []
    let scopes = Set((before?.scopes.keys).map(Array.init) ?? []).union(after?.scopes.keys.map(\.self) ?? [])
    let sets = scopes.map { ($0, before?.scopes[$0] ?? ScopeSet(), after?.scopes[$0] ?? ScopeSet()) }
    for (oldMap, newMap) in [
      (before?.byClientID ?? [:], after?.byClientID ?? [:]), (before?.bySubject ?? [:], after?.bySubject ?? [:]),
    ] {
      for key in Set(oldMap.keys).union(newMap.keys) {
        let (oldClient, newClient) = (oldMap[key].map(Int.init), newMap[key].map(Int.init))
        guard let client = newClient.map({ new.clients.id(of: $0) }) ?? oldClient.map({ old.clients.id(of: $0) })
        else { continue }
        for (scope, oldSet, newSet) in sets {
          let clients = [oldClient, newClient].map { UInt64(bitPattern: Int64($0 ?? -1)) }
          guard known.insert(clients + [oldSet.bits, newSet.bits]).inserted else { continue }
          compare(
            client, "tokens of \(name) for \(key.text) with \(scope.text)",
            from: oldClient.flatMap { old.grant(of: $0, limitedTo: oldSet) },
            to: newClient.flatMap { new.grant(of: $0, limitedTo: newSet) })
        }
      }
    }
  }
}

private func label(_ digest: Digest, _ note: String) -> String {
  "\(digest.hex.prefix(12))\(note.isEmpty ? "" : " (\(note))")"
}

private func expiryText(_ expiry: UnixSeconds?) -> String { expiry.map { "expires at \($0)" } ?? "never expires" }

private func text(_ name: ArraySlice<UInt8>) -> String { String(decoding: name, as: UTF8.self) }

extension Policy {
  /// nil: the token is not accepted.
  fileprivate func grant(of entry: TokenTable.Entry, at now: UnixSeconds) -> AccessGrant? {
    let row = Int(entry.clientIndex)
    guard !entry.hasEnded(at: now), !clients.isRevoked(row) else { return nil }
    return AccessGrant(row: row, scopes: clients.scopes(of: row))
  }

  /// The most that a token of the token endpoint admits; nil: it issues none for the client.
  fileprivate func signedGrant(of client: Int) -> AccessGrant? {
    guard settings.oauth != nil, clients.oauth(of: client) != nil, !clients.isRevoked(client) else { return nil }
    return AccessGrant(row: client, scopes: clients.scopes(of: client))
  }

  /// What a token of another server admits that has been given these scopes.
  fileprivate func grant(of client: Int, limitedTo scopes: ScopeSet) -> AccessGrant? {
    guard !clients.isRevoked(client) else { return nil }
    return AccessGrant(row: client, scopes: scopes.intersection(clients.scopes(of: client)))
  }

  fileprivate func isBound(_ entry: TokenTable.Entry) -> Bool { Int(entry.clientIndex) >= clients.count }
}

extension ClientTable {
  fileprivate var indicesByID: [ArraySlice<UInt8>: Int] {
    var found: [ArraySlice<UInt8>: Int] = [:]
    found.reserveCapacity(count)
    for index in indices { found[id(of: index)] = index }
    return found
  }
}

extension OAuthClient.Secret {
  fileprivate func isValid(at now: UnixSeconds) -> Bool { expiry.map { $0 > now } ?? true }
}

extension IntrospectionProvider {
  /// Whether every token of this provider was one of the other, as far as settings tell.
  fileprivate func accepts(noMoreThan other: IntrospectionProvider) -> Bool {
    url == other.url && clientID == other.clientID && (audience == other.audience || other.audience == nil)
      && (issuer == other.issuer || other.issuer == nil) && Set(prefixes).isSubset(of: other.prefixes)
      && (!isDefault || other.isDefault)
  }
}

extension CallerGrant {
  /// Whether each caller that it admits is one that the other admits.
  fileprivate func isWithin(_ other: CallerGrant) -> Bool {
    guard other.certificates.isEmpty || !certificates.isEmpty && Set(certificates).isSubset(of: other.certificates)
    else { return false }
    switch (networks, other.networks) {
    case (_, .all): return true
    case (.all, .only): return false
    case (.only(let networks), .only(let others)):
      return networks.allSatisfy { network in others.contains { $0.contains(network) } }
    }
  }
}
