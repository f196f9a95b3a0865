/// How long the service manager waits for a notification of the watchdog before it ends the service.
package struct WatchdogTimeout: Equatable, Sendable {
  package let microseconds: Int64

  package init(microseconds: Int64) { self.microseconds = microseconds }

  /// The time between two notifications: half of the timeout, as sd_watchdog_enabled(3) recommends; at least 1 ms.
  package var intervalMilliseconds: Int { max(1, Int(microseconds / 2_000)) }
}
