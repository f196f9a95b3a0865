/// What metrics and `/status` say about the tokens of the policy files.
package struct TokenSummary: Sendable {
  /// By client index: when the first of the client's tokens in force expires; nil: none of them expires. Empty if
  /// clients are not listed.
  package fileprivate(set) var soonestExpiry: [UnixSeconds?] = []
  package fileprivate(set) var revokedTokens = 0
  package fileprivate(set) var revokedClients = 0
}

/// Keeps a summary until another policy is in force or the first token ends: a policy may have a million tokens, and
/// `/status` may be read every second.
package struct KeptTokenSummary: Sendable {
  private struct Kept {
    let generation: Int
    let times: Range<UnixSeconds>
    let summary: TokenSummary
  }

  private var kept: Kept?
  /// How often all tokens were read.
  private(set) var readings = 0

  package init() {}

  /// - Parameter generation: of the policy.
  package mutating func summary(of policy: Policy, generation: Int, at now: UnixSeconds) -> TokenSummary {
    // The clock may have been set back.
    if let kept, kept.generation == generation, kept.times.contains(now) { return kept.summary }
    let summary = policy.tokenSummary(at: now)
    let end = summary.soonestExpiry.compactMap(\.self).min() ?? UnixSeconds(.max)
    kept = Kept(generation: generation, times: now..<end, summary: summary)
    readings += 1
    return summary
  }
}

extension Policy {
  /// With more clients, `/status` and metrics list none: both would be too large for those who read them every second.
  package static let listedClientsMax = 1_000

  package var listsClients: Bool { clients.count <= Self.listedClientsMax }

  /// Whether requests are counted by client.
  package var countsClients: Bool { settings.countsClients && listsClients }

  /// The client that a request belongs to, also if a token bound to other instances has its own row.
  ///
  /// - Parameter row: as in `AdmissionTrace.clientIndex`, and not negative.
  package func client(of row: Int32) -> Int { clients.owner(of: Int(row)) }

  /// Reads every token once.
  func tokenSummary(at now: UnixSeconds) -> TokenSummary {
    var summary = TokenSummary()
    if listsClients { summary.soonestExpiry = Array(repeating: nil, count: clients.count) }
    summary.revokedClients = clients.indices.count { clients.isRevoked($0) }
    for entry in tokens.entries {
      if entry.isRevoked { summary.revokedTokens += 1 }
      guard listsClients, let expiry = entry.expiry, !entry.hasEnded(at: now) else { continue }
      let client = client(of: entry.clientIndex)
      guard !clients.isRevoked(client) else { continue }
      summary.soonestExpiry[client] = min(summary.soonestExpiry[client] ?? expiry, expiry)
    }
    return summary
  }

  /// How many ids of signed tokens and of grants `revoked.json` lists.
  package var revokedIDCount: Int { revokedIDs.count }
}
