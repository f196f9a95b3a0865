import FoundationEssentials
import Policies

/// What `/status` says.
package struct StatusReading: Sendable {
  let gateway: GatewayStatus
  let instances: [InstanceStatus]
  let clients: [ClientStatus]
  let recent: [RecentStatus]
  /// When it was made, since 1970.
  let milliseconds: Int64

  init(
    _ gateway: GatewayStatus, instances: [InstanceStatus], clients: [ClientStatus], recent: [RecentStatus],
    milliseconds: Int64
  ) {
    (self.gateway, self.instances, self.clients, self.recent) = (gateway, instances, clients, recent)
    self.milliseconds = milliseconds
  }

  /// - Parameter json: of `/status`; nil: not that of a gateway of this version.
  package init?(_ json: [UInt8]) {
    guard let reading = decoded(Self.self, json) else { return nil }
    self = reading
  }
}

extension StatusReading: Decodable {
  private enum CodingKeys: CodingKey { case at, instances, clients, recent }

  package init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: CodingKeys.self)
    gateway = try GatewayStatus(from: decoder)
    instances = try members.decode([InstanceStatus].self, forKey: .instances)
    clients = try members.decode([ClientStatus].self, forKey: .clients)
    recent = try members.decode([RecentStatus].self, forKey: .recent)
    // As `timestamp` writes it.
    guard let time = UnixSeconds(rfc3339: gateway.at), let fraction = Int64(gateway.at.dropFirst(20).prefix(3)) else {
      throw DecodingError.dataCorruptedError(forKey: .at, in: members, debugDescription: "not a time")
    }
    milliseconds = time.rawValue * 1_000 + fraction
  }
}

private func decoded<Value: Decodable>(_: Value.Type, _ json: [UInt8]) -> Value? {
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  return try? decoder.decode(Value.self, from: Data(json))
}

/// The members of `/status` about the gateway as a whole.
struct GatewayStatus: Codable, Sendable {
  struct Connections: Codable {
    let open: Int
    let accepted: Int
    let refused: Int
  }

  struct PolicyStatus: Codable {
    let generation: Int
    let sha256: String
    let since: String
    let reloads: Int
    let reloadsRefused: Int
    let lastReloadError: Failure?
    /// The first faults of individual files and instances.
    let faults: [String]
    let faultCount: Int
  }

  struct Audit: Codable {
    /// For `audit verify --expect`.
    let head: String?
    let entries: Int
    let failures: Int
    let lostOutcomes: Int
    let writable: Bool
  }

  struct Idempotency: Codable {
    let keys: Int
    let inFlight: Int
    let unknown: Int
    let diskBytes: Int
    let failures: Int
    let lastFault: String?
    let writable: Bool
  }

  struct Introspection: Codable {
    let provider: String
    let breaker: String
    let asked: Int
    let hits: Int
    let inactive: Int
    let faults: Int
  }

  struct Failure: Codable {
    let at: String
    let message: String
  }

  let version: String
  let commit: String
  let swift: String
  /// The version that this process has loaded.
  let libcurl: String
  let at: String
  let startedAt: String
  let uptimeSeconds: Int
  let draining: Bool
  let stuckLoops: [Int]
  let upgrade: UpgradePhase
  let requests: Int
  /// By code.
  let refusals: [String: Int]
  /// Also of those that are too many to list.
  let instanceCount: Int
  let instancesTroubled: Int
  let clientCount: Int
  /// Of `counts` in `upstreamMs`.
  let latencyBoundsMs: [Double]
  let connections: Connections
  let policy: PolicyStatus
  let accessLogLinesLost: Int?
  let audit: Audit?
  let idempotency: Idempotency?
  /// nil: no provider is configured.
  let introspection: [Introspection]?
}

enum UpgradePhase: String, Codable {
  case none, complete
  case predecessorDrains = "predecessor_drains"
  case handedOver = "handed_over"
}

/// One entry of `instances`.
struct InstanceStatus: Codable {
  struct Fault: Codable {
    let at: String
    let code: String
    let detail: String?
  }

  struct Connections: Codable {
    let open: Int
    let idle: Int
  }

  /// Times since the start; two readings of `counts` give the percentiles of the time between them.
  struct Latency: Codable {
    let p50: Double
    let p90: Double
    let p99: Double
    let counts: [Int]
  }

  let id: String
  /// Why its definition in the files is not in force.
  let policyFault: String?
  /// false: maintenance (`"writes": false`), or `policyFault` says why it gets no requests at all.
  let writes: Bool
  let healthy: Bool
  let breaker: String
  let requests: Int
  let inFlight: Int
  let queued: Int
  let connections: Connections
  let lastFault: Fault?
  /// nil: no request has waited for it.
  let upstreamMs: Latency?
}

/// One entry of `clients`. The counts are nil unless requests are counted by client.
struct ClientStatus: Codable {
  let name: String
  let requests: Int?
  let refusals: [String: Int]?
  /// Of the client's own limits: rate and concurrency.
  let rateLimited: Int?
  let bytesIn: Int?
  let bytesOut: Int?
  let tokenExpiresAt: String?
}

/// One entry of `recent`, as `RecentEnds` writes it.
struct RecentStatus: Decodable {
  let at: String
  let requestId: String
  let code: String
  let client: String?
  let instance: String?
  let method: String?
  let path: String?

  static func list(_ json: [UInt8]) -> [RecentStatus] {
    // `RecentEnds` writes such a list; the gateway must not end if it did not.
    decoded([RecentStatus].self, json) ?? []
  }
}
