import Counters
import HTTP1
import Telemetry
import Upstream

/// One scrape: the metrics as text in pieces, so that many instances need little memory.
struct MetricsScrape {
  /// A piece ends after the instance that makes it this long.
  private static let pieceBytes = 64 << 10

  private let state: GatewayState
  private let instances: [InstanceReading]
  private var text = PrometheusText()
  private var family = 0
  private var next = 0
  private var hasStarted = false

  init(_ state: GatewayState) {
    self.state = state
    instances = state.instances()
  }

  /// The next piece; nil after the last one.
  mutating func piece() -> [UInt8]? {
    text.removeAll()
    if !hasStarted {
      hasStarted = true
      text.write(state)
    }
    while family < InstanceMetricFamily.all.count, text.bytes.count < Self.pieceBytes {
      let current = InstanceMetricFamily.all[family]
      if next == 0 { text.family(current.name, current.kind, current.help) }
      if next == 0, current.name == InstanceMetricFamily.requests.name { writeRequestsWithoutInstance() }
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
    InstanceMetricFamily.requests.write(&text, InstanceMetricFamily.requests.name, reading)
  }
}

/// A metric family with the instance as a label.
private struct InstanceMetricFamily: Sendable {
  let name: String
  let kind: PrometheusText.Kind
  let help: String
  let write: @Sendable (_ text: inout PrometheusText, _ name: String, _ reading: InstanceReading) -> Void

  static let requests = InstanceMetricFamily(
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

  static let all = [
    requests,
    InstanceMetricFamily(
      name: "blnk_gateway_upstream_duration_seconds", kind: .histogram,
      help: "Time that an exchange waited for its instance: to connect, to read the request and to respond."
    ) { text, name, reading in
      let sum = reading.upstreamTime
      if sum.total > 0 { text.histogram(name, [("instance_id", reading.id)], sum) }
    },
    InstanceMetricFamily(
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
    InstanceMetricFamily(
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
    InstanceMetricFamily(
      name: "blnk_gateway_breaker_state", kind: .gauge,
      help: "Circuit breaker of the instance: 0 closed, 1 probing, 2 open."
    ) { text, name, reading in
      guard let state = reading.state else { return }
      text.sample(name, [("instance_id", reading.id)], value: state.breakerPhase.level)
    },
    InstanceMetricFamily(
      name: "blnk_gateway_instance_healthy", kind: .gauge,
      help: "0 while the health check of the instance fails; else 1, also without a health check."
    ) { text, name, reading in
      guard let state = reading.state else { return }
      text.sample(name, [("instance_id", reading.id)], value: state.failsHealthChecks ? 0 : 1)
    },
  ]

  private static func pool(
    _ name: String, _ kind: PrometheusText.Kind, _ help: String, _ count: @escaping @Sendable (PoolCounters) -> Int
  ) -> InstanceMetricFamily {
    InstanceMetricFamily(name: name, kind: kind, help: help) { text, name, reading in
      guard !reading.parts.isEmpty else { return }
      text.sample(name, [("instance_id", reading.id)], value: reading.sum(count))
    }
  }
}

extension RequestKind {
  /// Unknown methods share a label, because their names come from requests.
  fileprivate var label: [UInt8] {
    method == .other ? Array("other".utf8) : Array(method.text.description.utf8)
  }
}
