package import Digests
import OAuth
import Synchronization

/// The immutable whole of the configuration: the gateway's settings, clients, instances and routes.
package struct Policy: Sendable {
  package var settings: GatewaySettings {
    _read { yield stored.settings }
    set {
      stored = StoredSettings(newValue)
      hot = HotSettings(newValue)
      identity = PolicyIdentity()
    }
  }
  /// Those that each request needs, in place.
  package private(set) var hot: HotSettings
  /// The settings are most of a policy, and the compiler copies a policy for each call of its methods: in place, they cost
  /// 100 instructions per request.
  private var stored: StoredSettings
  /// Differs from that of every other policy of this process.
  private(set) var identity = PolicyIdentity()
  /// In file order; `instanceIndex` is an index in it.
  package let instances: [Instance]
  /// Of the ids of `instances`.
  package let directory: NameDirectory
  /// In file order; `clientIndex` is an index in it.
  package let clients: ClientTable
  package let tokens: TokenTable
  package let routes: RouteTable
  package let scopes: ScopeDirectory
  /// The files that it was read from.
  package let files: [PolicyFile]
  /// Derived from `instances`.
  package let hosts: HostDirectory
  /// Derived from `settings`.
  package let challenges: BearerChallenges
  /// The clients that get tokens from the token endpoint: the position of each name in `signedClientIndices`.
  let signedClients: NameDirectory
  let signedClientIndices: [Int32]
  /// For each of them, since when its tokens must have been issued, in seconds since 1970; least: whenever. Here as well as
  /// in `clients`, because its dictionary takes 120 instructions.
  let signedNotBefore: [Int64]
  /// The servers that are asked about other tokens; nil: none.
  package let introspection: IntrospectionTable?
  /// The tokens and grants that `revoked.json` revokes.
  let revokedIDs: Set<TokenID>
  /// SHA-256 of the tokens that `revoked.json` lists. Those of policy files are marked in `tokens` as well.
  private let revokedTokens: Set<Digest>

  init(
    settings: GatewaySettings, instances: [Instance], directory: NameDirectory, clients: ClientTable,
    tokens: TokenTable, routes: RouteTable, scopes: ScopeDirectory, files: [PolicyFile],
    revokedIDs: Set<TokenID> = [], revokedTokens: Set<Digest> = []
  ) {
    stored = StoredSettings(settings)
    hot = HotSettings(settings)
    self.instances = instances
    self.directory = directory
    self.clients = clients
    self.tokens = tokens
    self.routes = routes
    self.scopes = scopes
    self.files = files
    self.revokedIDs = revokedIDs
    self.revokedTokens = revokedTokens
    challenges = settings.oauth.map { BearerChallenges($0) } ?? .plain
    hosts = HostDirectory(instances.map(\.hosts))
    signedClientIndices = settings.oauth == nil ? [] : clients.indicesWithOAuth
    introspection = IntrospectionTable(
      settings.introspection, clients: clients, scopes: scopes)
    signedNotBefore = signedClientIndices.map { clients.tokensNotBefore(of: Int($0))?.rawValue ?? .min }
    signedClients = NameDirectory(signedClientIndices.map { Array(clients.id(of: Int($0))) })
  }
}

/// Tells which policy a loop's memory is about.
struct PolicyIdentity: Equatable, Sendable {
  private let number: Int

  private static let latest = Atomic<Int>(0)

  init() { number = Self.latest.add(1, ordering: .relaxed).newValue }
}

/// Settings behind a reference.
private final class StoredSettings: Sendable {
  let settings: GatewaySettings

  init(_ settings: GatewaySettings) { self.settings = settings }
}

/// Settings that each request needs.
package struct HotSettings: Sendable {
  package let answersHealthOnListeners: Bool
  package let hasTokenEndpoint: Bool
  let bodyBytesMax: Int
  /// Of writes with an idempotency key; nil: keys have no effect.
  package let keyedBodies: KeyedBodyLimits?

  init(_ settings: GatewaySettings) {
    answersHealthOnListeners = settings.answersHealthOnListeners
    hasTokenEndpoint = settings.hasTokenEndpoint
    bodyBytesMax = settings.limits.bodyBytesMax
    keyedBodies = settings.idempotency.map {
      KeyedBodyLimits(requestBytesMax: $0.bodyBytesMax, responseBytesMax: $0.responseBytesMax)
    }
  }
}

/// The largest bodies of a write with an idempotency key.
package struct KeyedBodyLimits: Sendable {
  package let requestBytesMax: Int
  /// A longer one is relayed, but not kept.
  package let responseBytesMax: Int
}

/// A file of a policy folder whose content is in force.
package struct PolicyFile: Sendable {
  /// Relative to the folder: `clients/acme.json`.
  package let name: String
  /// The digest of the bytes in force; nil: none of its content is in force.
  package let digest: Digest?
  /// The indices of its instances in `Policy.instances`.
  var instances = 0..<0
  /// The indices of its clients in `Policy.clients`.
  var clients = 0..<0
}

extension Policy {
  /// Whether `revoked.json` lists the digest of a token.
  func isRevoked(_ token: Span<UInt8>) -> Bool {
    !revokedTokens.isEmpty && revokedTokens.contains(SHA256.digest(of: token))
  }

  /// How many tokens of no client `revoked.json` lists that another policy does not.
  func revokedTokenCount(without other: Policy) -> Int {
    revokedTokens.subtracting(other.revokedTokens).count {
      tokens.index(of: $0) == nil && other.tokens.index(of: $0) == nil
    }
  }

  func file(_ name: String) -> PolicyFile? { files.first { $0.name == name } }

  /// The digest of all files, as 64 hex digits. Policies with equal digests are equal except for keys and certificates.
  package var digest: String { files.digest }

  /// A copy with these clients and tokens, and with the file that revokes some of them.
  func with(
    _ clients: ClientTable, _ tokens: TokenTable, _ file: PolicyFile?, revokedIDs: Set<TokenID> = [],
    revokedTokens: Set<Digest> = []
  ) -> Policy {
    Policy(
      settings: settings, instances: instances, directory: directory, clients: clients, tokens: tokens, routes: routes,
      scopes: scopes, files: files + (file.map { [$0] } ?? []), revokedIDs: revokedIDs,
      revokedTokens: revokedTokens)
  }
}

extension [PolicyFile] {
  /// As `Policy.digest`.
  package var digest: String {
    var stream = SHA256Stream()
    for file in self {
      if let digest = file.digest { stream.update([UInt8]("\(file.name) \(digest.hex)\n".utf8).span) }
    }
    return stream.digest.hex
  }
}
