import HTTP1
import Policies

extension Policy {
  /// Describes the limits that apply to an admitted request. Only the running gateway knows whether they are reached.
  func describeLimits(on admission: Admission) -> String {
    let instance = instances[Int(admission.instanceIndex)]
    let client = describe(clients.limits(of: Int(admission.clientIndex)), isWrite: admission.isWrite)
    let mayHaveBody = !routes.routes[Int(admission.routeIndex)].method.isRead
    let body = mayHaveBody ? ["body of at most \(admission.bodyBytesMax) bytes"] : []
    let key = admission.isWrite ? describe(admission.keyRule) : []
    let times = describe(routes.routes[Int(admission.routeIndex)].times)
    return (body + key + client + times + describe(instance)).joined(separator: "; ")
  }

  private func describe(_ rule: KeyRule) -> [String] {
    guard let idempotency = settings.idempotency else { return [] }
    switch rule {
    case .required, .optional:
      let body = "with one, the body has at most \(idempotency.bodyBytesMax) bytes"
      return ["an Idempotency-Key is \(rule.rawValue); \(body)"]
    case .off: return ["an Idempotency-Key is ignored"]
    }
  }

  private func describe(_ times: RouteTimes?) -> [String] {
    var parts: [String] = []
    if let first = times?.firstByteMilliseconds {
      parts.append("the response must begin within \(seconds(first))")
    }
    if let total = times?.totalMilliseconds { parts.append("the response must end within \(seconds(total))") }
    return parts
  }

  private func seconds(_ milliseconds: Int) -> String {
    milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000) s" : "\(Double(milliseconds) / 1_000) s"
  }

  private func describe(_ limits: ClientLimits, isWrite: Bool) -> [String] {
    var parts: [String] = []
    switch limits.rates {
    case .unlimited: break
    case .shared(let limit): parts.append("read and write budget \(limit.text)")
    case .separate(let read, let write):
      if let limit = isWrite ? write : read { parts.append("\(isWrite ? "write" : "read") budget \(limit.text)") }
    }
    if limits.concurrentMax > 0 { parts.append("at most \(limits.concurrentMax) requests in flight") }
    return parts.isEmpty ? ["the client has no limit on \(isWrite ? "writes" : "reads")"] : parts
  }

  private func describe(_ instance: Instance) -> [String] {
    var parts: [String] = []
    if instance.limits.concurrentMax > 0 {
      parts.append("at most \(instance.limits.concurrentMax) requests in flight to the instance")
    }
    let failures = instance.breaker.failuresMax
    parts.append(
      failures > 0
        ? "the instance's breaker opens after \(failures) failure\(failures == 1 ? "" : "s in a row")"
        : "the instance has no breaker")
    let interval = instance.health.intervalMilliseconds
    if interval > 0 { parts.append("health check every \(Double(interval) / 1_000) s") }
    return parts
  }
}

extension RateLimit {
  fileprivate var text: String {
    let rate = Int(exactly: requestsPerSecond).map(String.init) ?? "\(requestsPerSecond)"
    return "\(rate)/s, burst \(burst)"
  }
}
