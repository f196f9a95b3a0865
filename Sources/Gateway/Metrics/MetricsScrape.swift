import Counters
import HTTP1
import Policies
import Telemetry
import Upstream

/// One scrape: the metrics as text in pieces, so that many instances need little memory.
struct MetricsScrape {
  /// A piece ends after the instance that makes it this long.
  private static let pieceBytes = 64 << 10

  private let state: GatewayState
  private let instances: [InstanceReading]
  private let tokens: TokenSummary
  private let clients: [ClientReading]
  private var text = PrometheusText()
  private var family = 0
  private var next = 0
  private var hasStarted = false

  init(_ state: GatewayState) {
    self.state = state
    instances = state.instances()
    let generation = state.policyInForce.generation
    tokens = state.tokenSummary(of: generation, at: .now)
    clients = state.clients(generation.policy, tokens)
  }

  /// The next piece; nil after the last one.
  mutating func piece() -> [UInt8]? {
    text.removeAll()
    if !hasStarted {
      hasStarted = true
      text.write(state, tokens)
    }
    while text.bytes.count < Self.pieceBytes {
      let others = family - MetricFamily.ofInstances.count
      if others < 0 {
        write(MetricFamily.ofInstances[family], instances)
      } else if others < MetricFamily.ofClients.count {
        write(MetricFamily.ofClients[others], clients)
      } else {
        break
      }
    }
    return text.bytes.isEmpty ? nil : text.bytes
  }

  /// Writes the next sample of a family, or begins the next family.
  private mutating func write<Reading>(_ current: MetricFamily<Reading>, _ readings: [Reading]) {
    if next == 0 { text.family(current.name, current.kind, current.help) }
    if next == 0, current.name == MetricFamily.requests.name { writeRequestsWithoutInstance() }
    guard next < readings.count else {
      family += 1
      next = 0
      return
    }
    current.write(&text, current.name, readings[next])
    next += 1
  }

  private mutating func writeRequestsWithoutInstance() {
    let reading = InstanceReading(id: [], state: nil, parts: state.loops.map(\.metrics.withoutInstance))
    MetricFamily.requests.write(&text, MetricFamily.requests.name, reading)
  }
}

/// A metric family with the instance or the client as a label.
private struct MetricFamily<Reading>: Sendable {
  let name: String
  let kind: PrometheusText.Kind
  let help: String
  let write: @Sendable (_ text: inout PrometheusText, _ name: String, _ reading: Reading) -> Void
}

extension MetricFamily<InstanceReading> {
  static let requests = MetricFamily(
    name: "blnk_gateway_requests_total", kind: .counter,
    help: "Completed exchanges, by route, method, status class and instance; labels are empty if there was none."
  ) { text, name, reading in
    for (kind, counts) in reading.requests {
      for (count, status) in zip(counts, RequestCounter.classes) where count > 0 {
        text.sample(
          name,
          [
            ("route", kind.route), ("method", kind.label), ("status", Array(status.utf8)), ("instance_id", reading.id),
          ],
          value: count)
      }
    }
  }

  static let ofInstances = [
    requests,
    MetricFamily(
      name: "blnk_gateway_upstream_duration_seconds", kind: .histogram,
      help: "Time that an exchange waited for its instance: to connect, to read the request and to respond."
    ) { text, name, reading in
      let sum = reading.upstreamTime
      if sum.total > 0 { text.histogram(name, [("instance_id", reading.id)], sum) }
    },
    MetricFamily(
      name: "blnk_gateway_upstream_connections", kind: .gauge, help: "Connections to the instance, by state."
    ) { text, name, reading in
      guard !reading.parts.isEmpty else { return }
      let counts = [
        ("connecting", reading.sum { $0.connecting.current }), ("idle", reading.sum { $0.idle.current }),
        ("leased", reading.leased),
      ]
      for (label, count) in counts {
        text.sample(name, [("instance_id", reading.id), ("state", Array(label.utf8))], value: count)
      }
    },
    pool("blnk_gateway_upstream_queue", .gauge, "Exchanges waiting for a connection to the instance.") {
      $0.waiting.current
    },
    pool("blnk_gateway_upstream_connects_total", .counter, "Attempts to connect to the instance.") {
      $0.connects.current
    },
    pool("blnk_gateway_upstream_reuses_total", .counter, "Requests served on a pooled connection.") {
      $0.reuses.current
    },
    MetricFamily(
      name: "blnk_gateway_upstream_connect_failures_total", kind: .counter,
      help: "Failed attempts to connect to the instance, by reason."
    ) { text, name, reading in
      guard !reading.parts.isEmpty else { return }
      for kind in ConnectFault.Kind.allCases {
        text.sample(
          name, [("instance_id", reading.id), ("reason", Array(kind.label.utf8))],
          value: reading.sum { $0.failures(kind) }
        )
      }
    },
    MetricFamily(
      name: "blnk_gateway_breaker_state", kind: .gauge,
      help: "Circuit breaker of the instance: 0 closed, 1 probing, 2 open."
    ) { text, name, reading in
      guard let state = reading.state else { return }
      text.sample(name, [("instance_id", reading.id)], value: state.breakerPhase.level)
    },
    MetricFamily(
      name: "blnk_gateway_instance_healthy", kind: .gauge,
      help: "0 while the health check of the instance fails; else 1, also without a health check."
    ) { text, name, reading in
      guard let state = reading.state else { return }
      text.sample(name, [("instance_id", reading.id)], value: state.failsHealthChecks ? 0 : 1)
    },
    MetricFamily(
      name: "blnk_gateway_instance_writable", kind: .gauge,
      help: "0 while the policy lets the instance get no writes: maintenance, or a fault in its definition."
    ) { text, name, reading in
      guard reading.state != nil else { return }
      text.sample(name, [("instance_id", reading.id)], value: reading.acceptsWrites ? 1 : 0)
    },
    MetricFamily(
      name: "blnk_gateway_instance_refusals_total", kind: .counter,
      help: "Rejections and faults after the instance was resolved, by GATEWAY_ code."
    ) { text, name, reading in
      for (code, count) in reading.refusals {
        text.sample(name, [("instance_id", reading.id), ("code", Array(code.text.utf8))], value: count)
      }
    },
  ]

  private static func pool(
    _ name: String, _ kind: PrometheusText.Kind, _ help: String, _ count: @escaping @Sendable (PoolCounters) -> Int
  ) -> MetricFamily {
    MetricFamily(name: name, kind: kind, help: help) { text, name, reading in
      guard !reading.parts.isEmpty else { return }
      text.sample(name, [("instance_id", reading.id)], value: reading.sum(count))
    }
  }
}

extension MetricFamily<ClientReading> {
  static let ofClients = [
    counts("blnk_gateway_client_requests_total", "Completed exchanges of the client, by status class.") { client in
      zip(RequestCounter.classes, client.requests).filter { $1 > 0 }.map { ("status", $0, $1) }
    },
    counts("blnk_gateway_client_refusals_total", "Rejections and faults of the client's requests, by GATEWAY_ code.") {
      client in
      client.refusals.map { code, count in ("code", code.text, count) }
    },
    counts("blnk_gateway_client_limits_hit_total", "Requests rejected because of the client's own limits, by limit.") {
      client in
      [
        ("limit", "rate", client.count(of: .rateLimited)),
        ("limit", "concurrency", client.count(of: .concurrencyLimited)),
      ]
    },
    counts(
      "blnk_gateway_client_bytes_total",
      "Bytes of the bodies of requests (in), and all bytes written to the client (out)."
    ) { client in
      [("direction", "in", client.bytesIn), ("direction", "out", client.bytesOut)]
    },
    MetricFamily(
      name: "blnk_gateway_client_token_expiry_timestamp_seconds", kind: .gauge,
      help: "Unix time at which the first of the client's tokens in force expires; absent if none of them expires."
    ) { text, name, reading in
      guard let expiry = reading.tokenExpiry else { return }
      text.sample(name, [("client", Array(reading.name))], value: Int(expiry.rawValue))
    },
  ]

  private static func counts(
    _ name: String, _ help: String,
    _ samples: @escaping @Sendable (ClientReading.Counts) -> [(label: StaticString, value: String, count: Int)]
  ) -> MetricFamily {
    MetricFamily(name: name, kind: .counter, help: help) { text, name, reading in
      guard let counts = reading.counts else { return }
      for sample in samples(counts) {
        text.sample(
          name, [("client", Array(reading.name)), (sample.label, Array(sample.value.utf8))], value: sample.count)
      }
    }
  }
}

extension RequestKind {
  /// Unknown methods share a label, because their names come from requests.
  fileprivate var label: [UInt8] {
    method == .other ? Array("other".utf8) : Array(method.text.description.utf8)
  }
}
