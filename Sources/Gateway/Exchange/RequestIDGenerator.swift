import Telemetry

/// Generates a loop's request ids. They are unique; nothing requires them to be hard to guess.
struct RequestIDGenerator {
  /// The bits that all ids of the loop share.
  private let first = RequestID(high: .random(in: .min ... .max) | 1, low: 0)
  private var state = UInt64.random(in: .min ... .max)

  mutating func next() -> RequestID {
    // SplitMix64 (Steele, Lea, Flood 2014): a bijection of a counter, so a loop never repeats an id.
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return RequestID(first, low: mixed ^ (mixed >> 31))
  }
}
