import Counters

/// A loop's way to the counters of refusals, by code.
struct RefusalCounters {
  private let metrics: LoopMetrics
  private var counters: [String: SharedCounter] = [:]
  /// Refusals come in floods of one code: a look into the table is 400 instructions.
  private var last: (code: String, counter: SharedCounter)?

  init(_ metrics: LoopMetrics) { self.metrics = metrics }

  mutating func count(_ code: String) {
    if last?.code != code { last = (code, counters.value(code, orElse: metrics.refusals(code))) }
    last?.counter.count.add()
  }
}
