import Dispatch
import Synchronization

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

/// Asks upstreams for their health, off the loops: libcurl's blocking calls on threads of their own.
///
/// At most 16 probes are under way at once; others wait, first come, first served. A probe that hangs holds up others only
/// where 16 do, for its timeout, and never a request.
package final class HealthProbe: Sendable {
  package static let probesMax = 16

  private typealias Probe = @Sendable () -> Void
  private struct Work {
    var threads = 0
    var waiting: ArraySlice<Probe> = []
  }

  private let work = Mutex(Work())
  private let clock = DispatchQueue(label: "health-clock")

  package init() {}

  /// Asks once; tells, on a thread of its own, whether the upstream answered with a status below 400.
  package func ask(_ target: HealthTarget, tell: @escaping @Sendable (Bool) -> Void) {
    begin { tell(HealthTransfer(target)?.perform() ?? false) }
  }

  /// Asks every `milliseconds`, until the result is ended or let go of.
  ///
  /// - Parameter tell: called on a thread of its own, never two at a time, and never once the schedule has ended.
  package func askRepeatedly(
    _ target: HealthTarget, every milliseconds: Int, tell: @escaping @Sendable (Bool) -> Void
  ) -> HealthSchedule {
    let check = HealthCheck(tell)
    let timer = DispatchSource.makeTimerSource(queue: clock)
    timer.setEventHandler { [self] in
      guard check.begin() else { return }
      begin {
        guard !check.hasEnded else { return }
        check.finish(HealthTransfer(target)?.perform() ?? false)
      }
    }
    timer.schedule(deadline: .now(), repeating: .milliseconds(milliseconds))
    timer.resume()
    return HealthSchedule(check, timer)
  }

  private func begin(_ probe: @escaping Probe) {
    let needsThread = work.withLock { work in
      work.waiting.append(probe)
      guard work.threads < Self.probesMax else { return false }
      work.threads += 1
      return true
    }
    guard needsThread else { return }
    // A serial queue of its own gets a thread however many others block.
    DispatchQueue(label: "health").async { [self] in
      while let probe = next() { probe() }
    }
  }

  /// The probe to run next; nil: none waits, and the thread that asked for it ends.
  private func next() -> Probe? {
    work.withLock { work in
      let probe = work.waiting.popFirst()
      if probe == nil { work.threads -= 1 }
      return probe
    }
  }
}

/// The probes of one schedule: one at a time, and none is heard after the end.
private final class HealthCheck: Sendable {
  private enum Phase {
    case resting, asking, ended
  }

  private let phase = Mutex(Phase.resting)
  private let tell: @Sendable (Bool) -> Void

  init(_ tell: @escaping @Sendable (Bool) -> Void) { self.tell = tell }

  /// False while the last probe is waiting or under way.
  func begin() -> Bool {
    phase.withLock { phase in
      guard phase == .resting else { return false }
      phase = .asking
      return true
    }
  }

  var hasEnded: Bool { phase.withLock { $0 == .ended } }

  func finish(_ isWell: Bool) {
    // Told under the lock: whoever ends the schedule hears nothing more from then on.
    phase.withLock { phase in
      guard phase == .asking else { return }
      tell(isWell)
      phase = .resting
    }
  }

  func end() { phase.withLock { $0 = .ended } }
}

/// Checks that go on until they are ended, or until nobody holds this.
package final class HealthSchedule {
  private let check: HealthCheck
  private let timer: any DispatchSourceTimer

  fileprivate init(_ check: HealthCheck, _ timer: any DispatchSourceTimer) {
    self.check = check
    self.timer = timer
  }

  /// Ends the checks; the result of one that is under way is ignored.
  package func end() {
    check.end()
    timer.cancel()
  }

  deinit { end() }
}
