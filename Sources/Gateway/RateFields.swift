import Bytes
import Policies

/// The fields that tell a client of its budget (draft-ietf-httpapi-ratelimit-headers-10).
struct RateFields: Equatable {
  /// The budget's name: `read`, `write`, or `all`.
  let budget: String
  /// Requests in a window.
  let quota: Int
  /// Seconds in which a used-up quota comes back.
  let window: Int
  /// Seconds until one more request fits.
  let reset: Int

  func write(to output: ByteBuffer) {
    output.append("RateLimit-Policy: \"")
    output.append(text: budget)
    output.append("\";q=")
    output.append(decimal: quota)
    output.append(";w=")
    output.append(decimal: window)
    output.append("\r\nRateLimit: \"")
    output.append(text: budget)
    output.append("\";r=0;t=")
    output.append(decimal: reset)
    output.append("\r\n")
  }
}

extension LocalReply {
  init(_ refusal: ClientMeter.Refusal) {
    switch refusal {
    case .rate(let nanoseconds, let limit, let budget):
      let seconds = Int((nanoseconds + 999_999_999) / 1_000_000_000)
      let window = max(1, Int((Double(limit.burst) / limit.requestsPerSecond).rounded(.up)))
      self.init(.rateLimited)
      retryAfterSeconds = seconds
      outcome = nil
      rate = RateFields(budget: budget, quota: limit.burst, window: window, reset: seconds)
    case .concurrency(let max):
      self.init(.concurrencyLimited)
      outcome = nil
      rate = RateFields(budget: "concurrent", quota: max, window: 1, reset: 1)
    }
  }
}
