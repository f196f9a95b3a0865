import Foundation
import Synchronization
import TestSupport
import TestValues
import Testing

/// A gateway with an audit log that is killed repeatedly while clients write through it.
enum KilledGateway {
  /// Starts and kills it `times` times over one log. Afterwards every write that Core executed has an intent, and the log
  /// verifies.
  ///
  /// - Parameter seed: of the times between start and kill.
  static func run(times: Int, seed: UInt64) throws {
    print("\(times) kills, seed \(seed)")
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], loops: 2,
      gateway: ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"], "access_log": NSNull()])
    var random = SeededGenerator(state: seed)
    for _ in 0..<times {
      let gateway = try GatewayProcess(folder)
      let writers = (0..<8).map { _ in Writer(port: gateway.port) }
      // The random time of the kill.
      Thread.sleep(forTimeInterval: Double(random.next() % 100_000) / 1_000_000)
      gateway.signal(SIGKILL)
      _ = gateway.waitForEnd()
      for writer in writers { writer.ended.wait() }
    }
    let executed = core.requests.compactMap { $0.message["X-Request-Id"] }
    let records = try AuditRecords(folder.statePath)
    let intents = Set(records.intents.compactMap { $0["request_id"] as? String })
    print("\(executed.count) writes executed, \(intents.count) intents, \(records.outcomes.count) outcomes")
    #expect(!executed.isEmpty)
    #expect(executed.allSatisfy { intents.contains($0) })
    #expect(Set(executed).count == executed.count)
    #expect(try AuditRecords.findings(folder.statePath) == [])
  }

  /// A client that writes until its gateway has ended.
  private final class Writer: Sendable {
    let ended = DispatchSemaphore(value: 0)

    init(port: UInt16) {
      let thread = Thread { [ended] in
        try? Self.write(to: port)
        ended.signal()
      }
      thread.start()
    }

    private static func write(to port: UInt16) throws {
      let socket = try TestSocket(port: port)
      var reader = TestMessageReader(socket)
      repeat {
        try socket.send(testRequest("PUT", "/proxy/balances/b/identity?instance_id=one", body: #"{"identity_id":"i"}"#))
      } while try reader.next() != nil
    }
  }
}
