extension InstanceLimits {
  init(_ field: Field) {
    self.init()
    guard let members = field.members(["connections", "share", "queue", "concurrent"]) else { return }
    members.read("connections", in: 1...100_000, into: &connectionsMax)
    if let value = members["share"]?.share() { share = value }
    members.read("queue", in: 0...1_000_000, into: &queueMax)
    members.read("concurrent", in: 0...1_000_000, into: &concurrentMax)
  }
}

/// Bounds of `first_byte_s` and `total_s`, of instances and of routes.
let exchangeSecondsBounds = 0.01...dayInSeconds

extension InstanceTimeouts {
  init(_ field: Field) {
    self.init()
    let known = [
      "connect_s", "dns_cache_s", "queue_s", "first_byte_s", "between_bytes_s", "total_s", "pool_idle_s", "pool_age_s",
    ]
    guard let members = field.members(known) else { return }
    members.read("connect_s", inSeconds: 0.01...dayInSeconds, into: &connectMilliseconds)
    members.read("dns_cache_s", inSeconds: 0...dayInSeconds, into: &nameCacheMilliseconds)
    members.read("queue_s", inSeconds: 0.01...dayInSeconds, into: &queueMilliseconds)
    members.read("first_byte_s", inSeconds: exchangeSecondsBounds, into: &firstByteMilliseconds)
    members.read("between_bytes_s", inSeconds: 0.01...dayInSeconds, into: &betweenBytesMilliseconds)
    members.read("total_s", inSeconds: exchangeSecondsBounds, into: &totalMilliseconds)
    members.read("pool_idle_s", inSeconds: 0...dayInSeconds, into: &poolIdleMilliseconds)
    members.read("pool_age_s", inSeconds: 0.01...dayInSeconds, into: &poolAgeMilliseconds)
  }
}

extension HealthSettings {
  init(_ field: Field) {
    self.init()
    guard let members = field.members(["interval_s"]) else { return }
    members.read("interval_s", inSeconds: 0...dayInSeconds, into: &intervalMilliseconds)
  }
}

extension BreakerSettings {
  init(_ field: Field) {
    self.init()
    guard let members = field.members(["failures", "open_s", "open_max_s"]) else { return }
    members.read("failures", in: 0...1_000_000, into: &failuresMax)
    members.read("open_s", inSeconds: 0.01...dayInSeconds, into: &openMilliseconds)
    members.read("open_max_s", inSeconds: 0.01...dayInSeconds, into: &openMillisecondsMax)
    if openMillisecondsMax < openMilliseconds { field.error("\"open_max_s\" must be at least \"open_s\"") }
  }
}
