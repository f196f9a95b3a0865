import Testing

/// Connections, exchanges and pools over simulated sockets and time. The printed seed reproduces a run.
@Suite struct SimulationTests {
  @Test func `whatever peers do, each run frees everything, records each exchange once, and mixes no clients' bytes`()
    throws
  {
    try checkRuns(300)
  }

  @Test(arguments: [SimulatedCalls.Harm.failure, .stall])
  func `a failing or hanging call at each step in turn`(harm: SimulatedCalls.Harm) throws {
    try checkSteps(harm)
  }
}

/// More runs.
@Suite struct SimulationSlowTests {
  @Test func `whatever peers do, in many runs`() throws { try checkRuns(10_000) }

  @Test(arguments: [SimulatedCalls.Harm.failure, .stall])
  func `a failing or hanging call at each step of many runs`(harm: SimulatedCalls.Harm) throws {
    for _ in 0..<10 { try checkSteps(harm) }
  }
}

private func checkRuns(_ count: UInt64) throws {
  let first = UInt64.random(in: 0..<1 << 40)
  for seed in first..<first + count { try check(seed) }
}

/// Repeats a run, each time with another failing call.
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

/// - Returns: whether a call failed.
@discardableResult
private func check(_ seed: UInt64, _ harm: SimulatedCalls.Harm = .none, _ call: Int = .max) throws -> Bool {
  let run = try SimulationRun(seed: seed, harm: harm, call: call)
  try run.run()
  #expect(run.faults.isEmpty, "seed \(seed), \(harm) at call \(call): \(run.faults.prefix(3))")
  return run.kernel.calls.wasHarmed
}
