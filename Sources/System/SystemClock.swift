public import Glibc

/// The clocks of the system: monotonic time for deadlines and durations; wall and CPU time for logs and metrics.
@usableFromInline
package enum SystemClock {
  /// Nanoseconds since an unspecified moment (CLOCK_MONOTONIC).
  @inlinable @inline(__always) package static var nanoseconds: Int64 { read(CLOCK_MONOTONIC) }

  package static var milliseconds: Int64 { nanoseconds / 1_000_000 }

  /// Microseconds since 1970 in UTC (CLOCK_REALTIME), for logs and expiry only.
  package static var wallMicroseconds: Int64 { read(CLOCK_REALTIME) / 1_000 }

  /// Microseconds since the system started, including time in suspend (CLOCK_BOOTTIME): for ages that must not depend on
  /// the wall clock.
  package static var bootMicroseconds: Int64 { read(CLOCK_BOOTTIME) / 1_000 }

  /// Seconds since 1970 in UTC. Someone may set this clock.
  package static var wallSeconds: Int64 { read(CLOCK_REALTIME) / 1_000_000_000 }

  /// Seconds since the machine started, with those of a suspension. No program can set this clock.
  package static var bootSeconds: Int64 { read(CLOCK_BOOTTIME) / 1_000_000_000 }

  /// CPU time of this process.
  package static var processNanoseconds: Int64 { read(CLOCK_PROCESS_CPUTIME_ID) }

  @usableFromInline static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
