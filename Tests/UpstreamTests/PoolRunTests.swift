import Testing

extension UpstreamTests {
  /// The printed seed reproduces a run.
  @Suite struct PoolRunTests {
    @Test func `whatever clients and peers do, shares are kept, and no client waits forever`() throws {
      let first = UInt64.random(in: 0..<1 << 40)
      var seen: [String: Int] = [:]
      for seed in first..<first + 200 {
        let run = try PoolRun(seed: seed)
        run.run(steps: 300)
        #expect(run.faults.isEmpty, "seed \(seed): \(run.faults.prefix(3))")
        seen.merge(run.seen, uniquingKeysWith: +)
      }
      for what in [
        "full", "evicted", "replaced", "upload beyond the share", "upload served", "passed over", "gave a place up",
        "gave a place to one below its share", "waits for an idle connection of another pool",
      ] {
        #expect(seen[what, default: 0] > 100, "\(what): \(seen)")
      }
    }
  }
}
