import Foundation
import TestFolders
import TestSupport
import Testing

/// A gateway that is killed while it handles writes with idempotency keys.
@Suite(.scopedFixtures, .serialized) struct KeyedKillTests {
  @Test func `a gateway that is killed 20 times under load executes no write twice`() throws {
    try KilledWithKeys.run(times: 20, seed: UInt64.random(in: 0...UInt64.max))
  }

  /// strace kills the gateway when one of its threads enters this system call for the nth time since the request.
  @Test(arguments: [
    "epoll_wait", "recvfrom", "futex", "write", "fdatasync", "read", "socket", "connect", "sendto", "epoll_ctl",
    "close",
  ])
  func `a kill at any system call of a keyed write leaves at most one execution, and a true answer`(
    name: String
  ) throws {
    let stage = try KeyedStage()
    var kills = 0
    for number in 1...40 {
      let key = "\(name)-\(number)"
      let before = stage.executions
      let (answer, isKilled) = try write(key, stage, killAt: name, number)
      try stage.restart(killing: true)
      let again = try stage.write(key)
      let executions = stage.executions - before
      let place = Comment(rawValue: "\(key): \(answer ?? "none"), then \(again.verdict)")
      switch again.verdict {
      case "201": #expect(answer == nil && executions == 1, place)
      case "201 replayed": #expect(executions == 1, place)
      case "409 GATEWAY_OUTCOME_UNKNOWN": #expect(answer == nil && executions <= 1, place)
      default: Issue.record(place)
      }
      guard isKilled else { break }
      kills += 1
    }
    #expect(kills > 0)
  }

  /// A write, and the verdict of its answer; nil: the gateway was killed before it sent one.
  private func write(_ key: String, _ stage: KeyedStage, killAt name: String, _ number: Int) throws -> (String?, Bool) {
    let strace = try Strace.inject("signal=SIGKILL", into: name, at: number, of: stage.gateway.identifier)
    let answer = try? stage.write(key).verdict
    // What follows the answer, such as the outcome in the audit log.
    var isKilled = false
    for _ in 0..<30 where !isKilled {
      isKilled = !FileManager.default.fileExists(atPath: "/proc/\(stage.gateway.identifier)/fd/0")
      if !isKilled { Thread.sleep(forTimeInterval: 0.01) }
    }
    if !isKilled {
      stage.gateway.signal(SIGKILL)
    }
    strace.waitUntilExit()
    return (answer, isKilled)
  }
}

@Suite(.scopedFixtures, .serialized, .timeLimit(.minutes(10))) struct KeyedKillSlowTests {
  @Test func `a gateway that is killed 200 times under load executes no write twice`() throws {
    try KilledWithKeys.run(times: 200, seed: UInt64.random(in: 0...UInt64.max))
  }
}
