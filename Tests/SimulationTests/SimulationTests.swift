import Testing

/// Connections, exchanges and pools over simulated sockets and time. A run that fails is found again by its seed.
@Suite struct SimulationTests {
  @Test func `whatever peers do, every run frees all, records each exchange once, and mixes nobody's bytes`() throws {
    try checkRuns(300)
  }

  @Test(arguments: [SimulatedCalls.Harm.failure, .stall])
  func `a call that fails, or never comes back, at each step in turn`(harm: SimulatedCalls.Harm) throws {
    try checkSteps(harm)
  }
}

/// The same for longer.
@Suite struct SimulationSlowTests {
  @Test func `whatever peers do, in many runs`() throws { try checkRuns(10_000) }

  @Test(arguments: [SimulatedCalls.Harm.failure, .stall])
  func `a call that fails, or never comes back, at each step of many runs`(harm: SimulatedCalls.Harm) throws {
    for _ in 0..<10 { try checkSteps(harm) }
  }
}

private func checkRuns(_ count: UInt64) throws {
  let first = UInt64.random(in: 0..<1 << 40)
  for seed in first..<first + count { try check(seed) }
}

/// Harms one call after the other of one run.
private func checkSteps(_ harm: SimulatedCalls.Harm) throws {
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
