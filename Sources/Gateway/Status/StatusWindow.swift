/// The readings of the last 10 s of one process, oldest first, for rates and percentiles of that time.
package struct StatusWindow {
  /// Readings come once a second, sometimes a little later.
  private static let millisecondsMax: Int64 = 10_500

  private var readings: [StatusReading] = []

  package init(_ first: StatusReading) { readings = [first] }

  package mutating func add(_ reading: StatusReading) {
    // Another process counts from 0, and a clock that was set back gives no time between two readings.
    readings.removeAll { earlier in
      let age = reading.milliseconds - earlier.milliseconds
      return age < 0 || age > Self.millisecondsMax || earlier.gateway.startedAt != reading.gateway.startedAt
    }
    readings.append(reading)
  }

  package var view: StatusView { StatusView(readings[readings.count - 1], since: readings[0]) }
}
