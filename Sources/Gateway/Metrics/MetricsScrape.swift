import Counters
import HTTP1
import Telemetry
import Upstream

/// One scrape: the metrics as text, piece by piece, so that many instances cost it time and not memory.
struct MetricsScrape {
  /// A piece ends with the instance that makes it as long as this.
  private static let pieceBytes = 64 << 10

  private let state: GatewayState
  private let instances: [InstanceReading]
  private var text = PrometheusText()
  private var family = 0
  private var next = 0
  private var isBegun = false

  init(_ state: GatewayState) {
    self.state = state
    instances = state.instances()
  }

  /// The next piece; nil behind the last one.
  mutating func piece() -> [UInt8]? {
    text.removeAll()
    if !isBegun {
      isBegun = true
      text.write(state)
    }
    while family < InstanceFamily.all.count, text.bytes.count < Self.pieceBytes {
      let current = InstanceFamily.all[family]
      if next == 0 { text.family(current.name, current.kind, current.help) }
      if next == 0, current.name == InstanceFamily.requests.name { writeRequestsWithoutInstance() }
      guard next < instances.count else {
        family += 1
        next = 0
        continue
      }
      current.write(&text, current.name, instances[next])
      next += 1
    }
    return text.bytes.isEmpty ? nil : text.bytes
  }

  private mutating func writeRequestsWithoutInstance() {
    let reading = InstanceReading(id: [], state: nil, parts: state.loops.map(\.metrics.withoutInstance))
    InstanceFamily.requests.write(&text, InstanceFamily.requests.name, reading)
  }
}

/// A family of metrics with an instance as label.
private struct InstanceFamily: Sendable {
  let name: String
  let kind: PrometheusText.Kind
  let help: String
  let write: @Sendable (_ text: inout PrometheusText, _ name: String, _ reading: InstanceReading) -> Void

  static let requests = InstanceFamily(
    name: "blnk_gateway_requests_total", kind: .counter,
    help: "Exchanges that have ended, by route, method, class of status and instance; empty where there was none."
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

  static let all = [
    requests,
    InstanceFamily(
      name: "blnk_gateway_upstream_duration_seconds", kind: .histogram,
      help: "Time in which an exchange waited for its instance: to connect, to take the request and to answer."
    ) { text, name, reading in
      let sum = reading.upstreamTime
      if sum.total > 0 { text.histogram(name, [("instance_id", reading.id)], sum) }
    },
    InstanceFamily(
      name: "blnk_gateway_upstream_connections", kind: .gauge, help: "Connections to the instance, by what they do."
    ) { text, name, reading in
      guard !reading.parts.isEmpty else { return }
      let counts = [
        ("connecting", reading.sum { $0.connecting.now }), ("idle", reading.sum { $0.idle.now }),
        ("leased", reading.leased),
      ]
      for (label, count) in counts {
        text.sample(name, [("instance_id", reading.id), ("state", Array(label.utf8))], value: count)
      }
    },
    pool("blnk_gateway_upstream_queue", .gauge, "Exchanges that wait for a connection to the instance.") {
      $0.waiting.now
    },
    pool("blnk_gateway_upstream_connects_total", .counter, "Connections to the instance that were begun.") {
      $0.connects.now
    },
    pool("blnk_gateway_upstream_reuses_total", .counter, "Requests that a pooled connection was found for.") {
      $0.reuses.now
    },
    InstanceFamily(
      name: "blnk_gateway_upstream_connect_failures_total", kind: .counter,
      help: "Connections to the instance that came to nothing, by reason."
    ) { text, name, reading in
      guard !reading.parts.isEmpty else { return }
      for kind in ConnectFault.Kind.allCases {
        text.sample(
          name, [("instance_id", reading.id), ("reason", Array(kind.label.utf8))],
          value: reading.sum { $0.failures(kind) }
        )
      }
    },
    InstanceFamily(
      name: "blnk_gateway_breaker_state", kind: .gauge,
      help: "Whether requests are kept from the instance after faults: 0 no, 1 a probe is under way, 2 yes."
    ) { text, name, reading in
      guard let state = reading.state else { return }
      text.sample(name, [("instance_id", reading.id)], value: state.breakerPhase.level)
    },
    InstanceFamily(
      name: "blnk_gateway_instance_healthy", kind: .gauge,
      help: "0 while the instance's health check fails; 1 also without one."
    ) { text, name, reading in
      guard let state = reading.state else { return }
      text.sample(name, [("instance_id", reading.id)], value: state.failsHealthChecks ? 0 : 1)
    },
  ]

  private static func pool(
    _ name: String, _ kind: PrometheusText.Kind, _ help: String, _ count: @escaping @Sendable (PoolCounters) -> Int
  ) -> InstanceFamily {
    InstanceFamily(name: name, kind: kind, help: help) { text, name, reading in
      guard !reading.parts.isEmpty else { return }
      text.sample(name, [("instance_id", reading.id)], value: reading.sum(count))
    }
  }
}

extension RequestKind {
  /// A token that is no method of HTTP's is a caller's own text.
  fileprivate var label: [UInt8] {
    method == .other ? Array("other".utf8) : Array(method.text.description.utf8)
  }
}
