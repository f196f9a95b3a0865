import Telemetry

/// When the steps of an exchange came (monotonic nanoseconds; 0: not reached).
struct ExchangeTimes {
  var started: Int64 = 0
  /// A connection was there: pooled, waited for, or new.
  var leased: Int64 = 0
  /// The head of Core's answer was there.
  var answered: Int64 = 0

  func write(to record: inout ExchangeRecord, ended: Int64) {
    record.total = (ended - started) / 1_000
    if answered > 0 { record.firstByte = (answered - started) / 1_000 }
    guard leased > 0 else { return }
    if record.pooled == true {
      record.queue = (leased - started) / 1_000
    } else {
      record.connect = (leased - started) / 1_000
    }
  }
}
