import Dispatch
import Synchronization

/// The URL of a health probe and how to connect to it.
package struct HealthEndpoint: Hashable, Sendable {
  /// For example `http://core:5001/health`.
  package var url: String
  /// PEM texts. A nil `caBundle` is the system's trust; a nil `certificate` or `key` means no client certificate.
  package var caBundle: [UInt8]?
  package var certificate: [UInt8]?
  package var key: [UInt8]?
  /// The connection's address in the form of CURLOPT_CONNECT_TO, if the certificate's name is not the host.
  package var connectTo: String?
  package var timeoutMilliseconds = 5_000

  package init(url: String) { self.url = url }
}

/// Probes the health of instances off the loops, with blocking libcurl calls on background threads.
///
/// Bound: `probesMax` probes run at once; others wait in order. Probes that hang hold up others only if all `probesMax` do,
/// and only for their timeout; they never hold up a request.
package final class HealthProber: Sendable {
  package static let probesMax = 16

  private typealias Probe = @Sendable () -> Void
  private struct Work {
    var threads = 0
    var waiting: ArraySlice<Probe> = []
  }

  private let work = Mutex(Work())
  private let clock = DispatchQueue(label: "health-clock")
  private let transfers: BackgroundTransfers

  package init(_ transfers: BackgroundTransfers) { self.transfers = transfers }

  /// Probes once.
  ///
  /// - Parameter completion: called on a background thread; true if the response's status was below 400.
  package func probe(_ endpoint: HealthEndpoint, completion: @escaping @Sendable (Bool) -> Void) {
    enqueue { [transfers] in completion(HealthTransfer(endpoint, transfers)?.perform() ?? false) }
  }

  /// Probes at a fixed interval until the returned schedule is ended or freed. A probe that is due while the previous
  /// one is waiting or running is skipped.
  ///
  /// - Parameter report: called on a background thread, never twice at once, and never after the schedule has ended.
  package func schedule(
    _ endpoint: HealthEndpoint, everyMilliseconds milliseconds: Int, report: @escaping @Sendable (Bool) -> Void
  ) -> HealthSchedule {
    let check = HealthCheck(report)
    let timer = DispatchSource.makeTimerSource(queue: clock)
    timer.setEventHandler { [self] in
      guard check.begin() else { return }
      enqueue { [transfers] in
        guard !check.hasEnded else { return }
        check.finish(HealthTransfer(endpoint, transfers)?.perform() ?? false)
      }
    }
    timer.schedule(deadline: .now(), repeating: .milliseconds(milliseconds))
    timer.resume()
    return HealthSchedule(check, timer)
  }

  private func enqueue(_ probe: @escaping Probe) {
    let needsThread = work.withLock { work in
      work.waiting.append(probe)
      guard work.threads < Self.probesMax else { return false }
      work.threads += 1
      return true
    }
    guard needsThread else { return }
    // A new serial queue gets a thread however many others block.
    DispatchQueue(label: "health").async { [self] in
      while let probe = next() { probe() }
    }
  }

  /// The next waiting probe; nil if there is none, and the calling thread ends.
  private func next() -> Probe? {
    work.withLock { work in
      let probe = work.waiting.popFirst()
      if probe == nil { work.threads -= 1 }
      return probe
    }
  }
}

/// The probes of one schedule: one at a time, and no report after the end.
private final class HealthCheck: Sendable {
  private enum Phase {
    case idle, probing, ended
  }

  private let phase = Mutex(Phase.idle)
  private let report: @Sendable (Bool) -> Void

  init(_ report: @escaping @Sendable (Bool) -> Void) { self.report = report }

  /// Starts a probe; false while the previous one is waiting or running, or after the end.
  func begin() -> Bool {
    phase.withLock { phase in
      guard phase == .idle else { return false }
      phase = .probing
      return true
    }
  }

  var hasEnded: Bool { phase.withLock { $0 == .ended } }

  func finish(_ isHealthy: Bool) {
    // Reported under the lock: once `end` has returned there are no more reports.
    phase.withLock { phase in
      guard phase == .probing else { return }
      report(isHealthy)
      phase = .idle
    }
  }

  func end() { phase.withLock { $0 = .ended } }
}

/// A running schedule of probes; it ends with `end()` or when it is freed.
package final class HealthSchedule {
  private let check: HealthCheck
  private let timer: any DispatchSourceTimer

  fileprivate init(_ check: HealthCheck, _ timer: any DispatchSourceTimer) {
    self.check = check
    self.timer = timer
  }

  /// Ends the schedule; the result of a running probe is ignored.
  package func end() {
    check.end()
    timer.cancel()
  }

  deinit { end() }
}
