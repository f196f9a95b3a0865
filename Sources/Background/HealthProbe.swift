import Dispatch

/// Where a health probe asks, and how it connects.
package struct HealthTarget: Hashable, Sendable {
  /// Such as `http://core:5001/health`.
  package var url: String
  /// PEM texts; nil: the system's trust, and no certificate of ours.
  package var authority: [UInt8]?
  package var certificate: [UInt8]?
  package var key: [UInt8]?
  /// In libcurl's CONNECT_TO form, where the certificate bears another name than the host.
  package var connectTo: String?
  package var timeoutMilliseconds = 5_000

  package init(url: String) { self.url = url }
}

/// Asks upstreams for their health, off the loops: libcurl's blocking calls on a Dispatch queue.
///
/// One at a time: a probe that hangs holds up other probes for its timeout, and never a request.
package final class HealthProbe: Sendable {
  private let queue = DispatchQueue(label: "health")

  package init() {}

  /// Asks once; tells, on the queue, whether the upstream answered with a status below 400.
  package func ask(_ target: HealthTarget, tell: @escaping @Sendable (Bool) -> Void) {
    queue.async { tell(HealthTransfer(target)?.perform() ?? false) }
  }

  /// Asks every `milliseconds`, until the result is let go of.
  package func askRepeatedly(
    _ target: HealthTarget, every milliseconds: Int, tell: @escaping @Sendable (Bool) -> Void
  ) -> HealthSchedule {
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.setEventHandler { tell(HealthTransfer(target)?.perform() ?? false) }
    timer.schedule(deadline: .now(), repeating: .milliseconds(milliseconds))
    timer.resume()
    return HealthSchedule(timer)
  }
}

/// Checks that go on as long as somebody holds this.
package final class HealthSchedule {
  private let timer: any DispatchSourceTimer

  init(_ timer: any DispatchSourceTimer) { self.timer = timer }

  deinit { timer.cancel() }
}
