import Background
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct HealthProberTests {
  /// Results in the order in which they are reported.
  private final class Results: Sendable {
    private let results = Mutex<[Bool]>([])
    var all: [Bool] { results.withLock { $0 } }
    func note(_ isHealthy: Bool) { results.withLock { $0.append(isHealthy) } }
  }

  private func endpoint(_ port: UInt16, milliseconds: Int) -> HealthEndpoint {
    var endpoint = HealthEndpoint(url: "http://127.0.0.1:\(port)/health")
    endpoint.timeoutMilliseconds = milliseconds
    return endpoint
  }

  @Test func `probes that hang do not hold up others, and at most 16 run at once`() throws {
    let silent = try ScriptedUpstream { _ in .stall([]) }
    let prober = HealthProber(BackgroundTransfers())
    let results = Results()
    let hanging = endpoint(silent.port, milliseconds: 1_000 * TestSocket.patience)
    for _ in 1..<HealthProber.probesMax { prober.probe(hanging) { results.note($0) } }
    #expect(eventually { silent.requests.count == HealthProber.probesMax - 1 })
    let core = try ScriptedUpstream { _ in .last(ScriptedUpstream.json("{}")) }
    let healthy = Results()
    for _ in 0..<20 { prober.probe(endpoint(core.port, milliseconds: 5_000)) { healthy.note($0) } }
    #expect(eventually { healthy.all.count == 20 } && healthy.all.allSatisfy { $0 } && results.all.isEmpty)
    // Two more that hang: one runs, the other waits, and so does the next probe.
    for _ in 0..<2 { prober.probe(hanging) { results.note($0) } }
    prober.probe(endpoint(core.port, milliseconds: 5_000)) { healthy.note($0) }
    #expect(eventually { silent.requests.count == HealthProber.probesMax })
    Thread.sleep(forTimeInterval: 0.1)
    #expect(silent.requests.count == HealthProber.probesMax && core.requests.count == 20)
    silent.stop()
    #expect(eventually { results.all.count == HealthProber.probesMax + 1 && healthy.all.count == 21 })
    #expect(results.all.allSatisfy { !$0 } && healthy.all.allSatisfy { $0 })
  }

  @Test func `a schedule keeps probing, one probe at a time`() throws {
    let core = try ScriptedUpstream { _ in .last(ScriptedUpstream.json("{}")) }
    let results = Results()
    let schedule = HealthProber(BackgroundTransfers()).schedule(
      endpoint(core.port, milliseconds: 5_000), everyMilliseconds: 10
    ) {
      results.note($0)
    }
    #expect(eventually { results.all.count >= 5 } && results.all.allSatisfy { $0 })
    schedule.end()
  }

  @Test func `the result of a probe that is running when the schedule ends is not reported`() throws {
    let silent = try ScriptedUpstream { _ in .stall([]) }
    let prober = HealthProber(BackgroundTransfers())
    let results = Results()
    let schedule = prober.schedule(endpoint(silent.port, milliseconds: 20_000), everyMilliseconds: 10) {
      results.note($0)
    }
    #expect(eventually { silent.requests.count == 1 })
    schedule.end()
    silent.stop()
    // These run after it, on the same thread or a later one.
    let others = Results()
    for _ in 0..<50 { prober.probe(endpoint(silent.port, milliseconds: 1_000)) { others.note($0) } }
    #expect(eventually { others.all.count == 50 } && results.all.isEmpty)
  }
}
