import Foundation
import Synchronization
import TestSupport
import Testing

/// How clients see a process that gets SIGTERM.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct DrainProcessTests {
  private static let target = "/proxy/balances?instance_id=one"

  private func folder(_ core: ScriptedUpstream, _ timeouts: [String: any Sendable]) throws -> TestPolicyFolder {
    try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], loops: 2, gateway: ["timeouts": timeouts])
  }

  @Test func `connections in the accept queue are served`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try GatewayProcess(try folder(core, ["drain_idle_s": 30]))
    gateway.signal(SIGSTOP)
    // More than one turn of the loop can accept.
    let clients = try (0..<300).map { _ in try TestSocket(port: gateway.port) }
    for client in clients { try client.send(testRequest("GET", Self.target)) }
    gateway.signal(SIGTERM)
    gateway.signal(SIGCONT)
    let responses = clients.map { client in
      var reader = TestMessageReader(client)
      return try? reader.next()
    }
    #expect(responses.count { $0?.status == 200 && $0?["Connection"] == "close" } == clients.count)
    #expect(gateway.waitForEnd() == 0)
  }

  @Test func `busy clients see a clean close, and every write gets its response`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    for round in 0..<5 {
      let gateway = try GatewayProcess(try folder(core, ["drain_idle_s": 1]))
      let before = core.requests.count
      let writers = (0..<8).map { Writer(port: gateway.port, name: "\(round)-\($0)", goesOn: $0 % 2 == 1) }
      #expect(eventually { core.requests.count >= before + 40 + 7 * round })
      gateway.signal(SIGTERM)
      for writer in writers { writer.ended.wait() }
      #expect(gateway.waitForEnd() == 0)
      #expect(writers.flatMap { $0.seen.withLock(\.faults) } == [])
      let answered = Set(writers.flatMap { $0.seen.withLock(\.answered) })
      let executed = core.requests.dropFirst(before).compactMap { $0.message["X-Write"] }
      #expect(Set(executed) == answered && executed.count == answered.count)
    }
  }

  /// Sends a write right after each response, none of them twice, until its gateway has ended.
  private final class Writer: Sendable {
    struct Seen {
      var answered: [String] = []
      var faults: [String] = []
    }

    let seen = Mutex(Seen())
    let ended = DispatchSemaphore(value: 0)
    private let port: UInt16
    private let name: String
    private let goesOn: Bool

    /// - Parameter goesOn: sends its next write although the last response said `Connection: close`.
    init(port: UInt16, name: String, goesOn: Bool) {
      self.port = port
      self.name = name
      self.goesOn = goesOn
      Thread { [self] in
        var number = 0
        while let socket = try? TestSocket(port: port) { write(socket, &number) }
        ended.signal()
      }.start()
    }

    private func write(_ socket: TestSocket, _ number: inout Int) {
      var reader = TestMessageReader(socket)
      var isTold = false
      do {
        while true {
          number += 1
          let tag = "\(name)-\(number)"
          try socket.send(
            testRequest("PUT", "/proxy/balances/b/identity?instance_id=one", fields: ["X-Write: \(tag)"], body: "{}"))
          guard let response = try reader.next() else {
            if !reader.rest.isEmpty || socket.wasReset() { fault("\(tag): cut") }
            return
          }
          if isTold { fault("\(tag): a response behind the last one") }
          if response.status != 200 { fault("\(tag): \(response.status)") }
          seen.withLock { $0.answered.append(tag) }
          isTold = response["Connection"] == "close"
          if isTold, !goesOn { return }
        }
      } catch {
        fault("\(name)-\(number): \(error)")
      }
    }

    private func fault(_ text: String) { seen.withLock { $0.faults.append(text) } }
  }

  @Test func `a process without connections ends at once`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    var fastest = Double.infinity
    for _ in 0..<5 where fastest >= 0.1 {
      // Without this option, ThreadSanitizer lets each process sleep for a second at its end.
      let gateway = try GatewayProcess(
        try folder(core, ["drain_idle_s": 30]), environment: ["TSAN_OPTIONS": "atexit_sleep_ms=0"])
      do {
        let used = try TestSocket(port: gateway.port)
        try used.send(testRequest("GET", Self.target, fields: ["Connection: close"]))
        _ = try used.receiveToEnd()
      }
      let start = Date()
      gateway.signal(SIGTERM)
      #expect(gateway.waitForEnd() == 0)
      fastest = min(fastest, Date().timeIntervalSince(start))
    }
    #expect(fastest < 0.1)
  }
}
