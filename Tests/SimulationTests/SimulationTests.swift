import Testing

/// Connections, exchanges and pools over simulated sockets and time. A run that fails is found again by its seed.
@Suite struct SimulationTests {
  @Test func `whatever peers do, every run frees all, records each exchange once, and mixes nobody's bytes`() throws {
    let first = UInt64.random(in: 0..<1 << 40)
    for seed in first..<first + 100 { try check(seed) }
  }

  @Test(arguments: [SimulatedCalls.Harm.failure, .stall])
  func `a call that fails, or never comes back, at each step in turn`(harm: SimulatedCalls.Harm) throws {
    var seed = UInt64.random(in: 0..<1 << 40)
    while try !(80..<200).contains(callCount(seed)) { seed += 1 }
    var call = 0
    while try check(seed, harm, call) { call += 1 }
    #expect(call > 60, "seed \(seed)")
  }

  private func callCount(_ seed: UInt64) throws -> Int {
    let run = try SimulationRun(seed: seed)
    try run.run()
    return run.kernel.calls.callCount
  }

  /// - Returns: whether a call was harmed.
  @discardableResult
  private func check(_ seed: UInt64, _ harm: SimulatedCalls.Harm = .none, _ call: Int = .max) throws -> Bool {
    let run = try SimulationRun(seed: seed, harm: harm, call: call)
    try run.run()
    #expect(run.faults.isEmpty, "seed \(seed), \(harm) at call \(call): \(run.faults.prefix(3))")
    return run.kernel.calls.wasHarmed
  }
}
