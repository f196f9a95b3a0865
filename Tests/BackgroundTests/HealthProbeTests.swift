import Background
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct HealthProbeTests {
  /// What probes have told.
  private final class Told: Sendable {
    private let results = Mutex<[Bool]>([])
    var all: [Bool] { results.withLock { $0 } }
    func note(_ isWell: Bool) { results.withLock { $0.append(isWell) } }
  }

  private func target(_ port: UInt16, milliseconds: Int) -> HealthTarget {
    var target = HealthTarget(url: "http://127.0.0.1:\(port)/health")
    target.timeoutMilliseconds = milliseconds
    return target
  }

  @Test func `probes that hang hold up no other, and at most 16 are under way`() throws {
    let silent = try ScriptedUpstream { _ in .stall([]) }
    defer { silent.stop() }
    let probe = HealthProbe()
    let told = Told()
    let hanging = target(silent.port, milliseconds: 1_000 * TestSocket.patience)
    for _ in 1..<HealthProbe.probesMax { probe.ask(hanging) { told.note($0) } }
    #expect(eventually { silent.requests.count == HealthProbe.probesMax - 1 })
    let core = try ScriptedUpstream { _ in .last(ScriptedUpstream.json("{}")) }
    defer { core.stop() }
    let isWell = Told()
    for _ in 0..<20 { probe.ask(target(core.port, milliseconds: 5_000)) { isWell.note($0) } }
    #expect(eventually { isWell.all.count == 20 } && isWell.all.allSatisfy { $0 } && told.all.isEmpty)
    // Two more that hang: one is under way, the other waits for its turn, and so does who comes behind.
    for _ in 0..<2 { probe.ask(hanging) { told.note($0) } }
    probe.ask(target(core.port, milliseconds: 5_000)) { isWell.note($0) }
    #expect(eventually { silent.requests.count == HealthProbe.probesMax })
    Thread.sleep(forTimeInterval: 0.1)
    #expect(silent.requests.count == HealthProbe.probesMax && core.requests.count == 20)
    silent.stop()
    #expect(eventually { told.all.count == HealthProbe.probesMax + 1 && isWell.all.count == 21 })
    #expect(told.all.allSatisfy { !$0 } && isWell.all.allSatisfy { $0 })
  }

  @Test func `a schedule asks again and again, one probe at a time`() throws {
    let core = try ScriptedUpstream { _ in .last(ScriptedUpstream.json("{}")) }
    defer { core.stop() }
    let told = Told()
    let schedule = HealthProbe().askRepeatedly(target(core.port, milliseconds: 5_000), every: 10) { told.note($0) }
    #expect(eventually { told.all.count >= 5 } && told.all.allSatisfy { $0 })
    schedule.end()
  }

  @Test func `what is under way when a schedule ends is not told`() throws {
    let silent = try ScriptedUpstream { _ in .stall([]) }
    defer { silent.stop() }
    let probe = HealthProbe()
    let told = Told()
    let schedule = probe.askRepeatedly(target(silent.port, milliseconds: 20_000), every: 10) { told.note($0) }
    #expect(eventually { silent.requests.count == 1 })
    schedule.end()
    silent.stop()
    // Behind it, on the same thread or a later one.
    let others = Told()
    for _ in 0..<50 { probe.ask(target(silent.port, milliseconds: 1_000)) { others.note($0) } }
    #expect(eventually { others.all.count == 50 } && told.all.isEmpty)
  }
}
