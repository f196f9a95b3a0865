extension GatewayLimits {
  /// Keys that the field does not have keep their defaults.
  init(_ field: Field) {
    self.init()
    let known = [
      "request_line_bytes", "header_bytes", "header_fields", "body_bytes", "body_bytes_per_second_min",
      "body_bytes_per_second_min_upstream", "connections", "connections_per_address", "upstream_connections",
    ]
    guard let members = field.members(known) else { return }
    members.read("request_line_bytes", in: 256...32768, into: &requestLineBytesMax)
    members.read("header_bytes", in: 1024...Self.headBytesMax, into: &headerBytesMax)
    members.read("header_fields", in: 1...1000, into: &headerFieldsMax)
    members.read("body_bytes", in: bodyBytesBounds, into: &bodyBytesMax)
    members.read("body_bytes_per_second_min", in: 0...1_000_000_000, into: &bodyBytesPerSecondMin)
    members.read(
      "body_bytes_per_second_min_upstream", in: 0...1_000_000_000, into: &bodyBytesPerSecondMinUpstream)
    members.read("connections", in: 1...1_000_000, into: &connectionsMax)
    members.read("connections_per_address", in: 0...1_000_000, into: &connectionsPerAddressMax)
    members.read("upstream_connections", in: 1...1_000_000, into: &upstreamConnectionsMax)
    statesConnections = members["connections"] != nil
    statesUpstreamConnections = members["upstream_connections"] != nil
    if requestLineBytesMax + headerBytesMax > Self.headBytesMax {
      field.error("\"request_line_bytes\" plus \"header_bytes\" must be at most \(Self.headBytesMax)")
    }
  }
}

/// Up to 1 TiB; 0: no body.
let bodyBytesBounds = 0...1 << 40

/// A day, the longest deadline.
let dayInSeconds = 86_400.0

extension GatewayTimeouts {
  /// Keys that the field does not have keep their defaults.
  init(_ field: Field) {
    self.init()
    let known = ["head_s", "body_idle_s", "idle_s", "drain_s", "drain_delay_s", "drain_idle_s"]
    guard let members = field.members(known) else { return }
    members.read("head_s", inSeconds: 0.01...dayInSeconds, into: &headMilliseconds)
    members.read("body_idle_s", inSeconds: 0.01...dayInSeconds, into: &bodyIdleMilliseconds)
    members.read("idle_s", inSeconds: 0.01...dayInSeconds, into: &idleMilliseconds)
    members.read("drain_s", inSeconds: 0...dayInSeconds, into: &drainMilliseconds)
    members.read("drain_delay_s", inSeconds: 0...dayInSeconds, into: &drainDelayMilliseconds)
    members.read("drain_idle_s", inSeconds: 0...dayInSeconds, into: &drainIdleMilliseconds)
  }
}
