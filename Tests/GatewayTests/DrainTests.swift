import Foundation
import Synchronization
import TestSupport
import Testing

/// SIGTERM ends in-flight exchanges first; here by the call that it makes.
@Suite struct DrainTests {
  static let target = "/proxy/balances?instance_id=one"

  @Test func `an exchange under way is ended first, an idle connection is closed at once`() throws {
    let release = DispatchSemaphore(value: 0)
    let core = try ScriptedUpstream { _ in
      _ = release.wait(timeout: .now() + 5)
      return .bytes(ScriptedUpstream.json("late"))
    }
    defer { core.stop() }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let idle = try gateway.connect()
    let busy = try gateway.connect()
    try busy.send(testRequest("POST", Self.target, body: "{}"))
    while core.requests.isEmpty { Thread.sleep(forTimeInterval: 0.01) }
    let isDrained = Mutex<Bool?>(nil)
    let drained = DispatchSemaphore(value: 0)
    Thread {
      let result = gateway.stop()
      isDrained.withLock { $0 = result }
      drained.signal()
    }.start()
    #expect(try idle.receiveToEnd().isEmpty)
    #expect(throws: (any Error).self) { try gateway.connect() }
    release.signal()
    let answer = String(decoding: try busy.receiveToEnd(), as: UTF8.self)
    #expect(answer.hasSuffix("\r\n\r\nlate") && answer.contains("\r\nConnection: close\r\n"))
    #expect(drained.wait(timeout: .now() + 5) == .success && isDrained.withLock { $0 } == true)
  }

  @Test func `an exchange that does not end in time is cut, and the drain says so`() throws {
    let core = try ScriptedUpstream { _ in .stall([]) }
    defer { core.stop() }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["timeouts": ["drain_s": 0.2]])
    let busy = try gateway.connect()
    try busy.send(testRequest("POST", Self.target, body: "{}"))
    while core.requests.isEmpty { Thread.sleep(forTimeInterval: 0.01) }
    let records = try gateway.stopAndReadLog()
    #expect(records.map { $0["outcome"] as? String } == ["unknown"])
  }
}
