import Foundation
import Synchronization
import TestSupport
import TestValues
import Testing

/// A gateway that keeps idempotency keys and is killed repeatedly, while clients repeat their writes until they know the
/// outcome, and while its Core cuts some responses.
enum KilledWithKeys {
  /// Starts and kills it `times` times over one journal. Afterwards no write was executed twice, and every answer was true.
  ///
  /// - Parameter seed: of the times between start and kill.
  static func run(times: Int, seed: UInt64) throws {
    print("\(times) kills, seed \(seed)")
    let core = try ScriptedUpstream { request in
      let answer = ScriptedUpstream.json(answer(to: request.message.bodyText), status: "201 Created")
      // One in 16 connections is cut after the write was executed.
      return request.number % 16 == 15 ? .reset(Array(answer.prefix(40))) : .bytes(answer)
    }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], loops: 2,
      gateway: [
        "audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"], "access_log": NSNull(),
        "idempotency": [String: Int](),
      ])
    var random = SeededGenerator(state: seed)
    let writers = (0..<8).map { Writer($0) }
    for _ in 0..<times {
      let gateway = try GatewayProcess(folder)
      for writer in writers { writer.port.store(gateway.port, ordering: .relaxed) }
      Thread.sleep(forTimeInterval: Double(random.next() % 100_000) / 1_000_000)
      gateway.signal(SIGKILL)
      _ = gateway.waitForEnd()
    }
    let last = try GatewayProcess(folder)
    for writer in writers {
      writer.port.store(last.port, ordering: .relaxed)
      writer.isStopping.store(true, ordering: .relaxed)
    }
    for writer in writers { writer.ended.wait() }
    let outcomes = writers.map { $0.outcomes.withLock(\.self) }.reduce(into: [:]) { $0.merge($1) { $1 } }
    try check(outcomes, core, last)
  }

  static func answer(to body: String) -> String { #"{"echo":\#(body)}"# }

  private static func check(
    _ outcomes: [String: Writer.Outcome], _ core: ScriptedUpstream, _ gateway: GatewayProcess
  ) throws {
    var executions: [String: Int] = [:]
    for request in core.requests { executions[request.message.bodyText, default: 0] += 1 }
    #expect(executions.values.allSatisfy { $0 == 1 })
    let done = outcomes.filter { $0.value == .done }.keys
    print("\(outcomes.count) writes: \(done.count) done, \(outcomes.count - done.count) of unknown outcome")
    #expect(!done.isEmpty && done.allSatisfy { executions[$0] == 1 })
    #expect(outcomes.values.contains(.unknown))
    // What was answered before a kill is still answered, in the same way.
    for (body, outcome) in outcomes.shuffled().prefix(200) {
      let again = try Writer.attempt(body, gateway.port)
      switch outcome {
      case .done: #expect(again?.verdict == "201 replayed" && again?.bodyText == answer(to: body))
      case .unknown: #expect(again?.verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
      }
    }
    #expect(core.requests.count == executions.count)
  }

  /// A client that writes with a new key each time, and repeats each write until it knows the outcome.
  private final class Writer: Sendable {
    enum Outcome {
      case done, unknown
    }

    let port = Atomic<UInt16>(0)
    let isStopping = Atomic<Bool>(false)
    let ended = DispatchSemaphore(value: 0)
    /// By the body, which is also the key.
    let outcomes = Mutex<[String: Outcome]>([:])

    init(_ number: Int) {
      Thread { [self] in
        var count = 0
        while !isStopping.load(ordering: .relaxed) {
          write(#"{"name":"\#(number)-\#(count)"}"#)
          count += 1
        }
        ended.signal()
      }.start()
    }

    private func write(_ body: String) {
      let end = Date() + 60
      while Date() < end {
        guard let answer = try? Self.attempt(body, port.load(ordering: .relaxed)) else {
          Thread.sleep(forTimeInterval: 0.002)
          continue
        }
        switch answer.verdict {
        case "201", "201 replayed":
          if answer.bodyText != KilledWithKeys.answer(to: body) { Issue.record("another response: \(answer)") }
          return outcomes.withLock { $0[body] = .done }
        case "409 GATEWAY_OUTCOME_UNKNOWN": return outcomes.withLock { $0[body] = .unknown }
        // Cut by Core: the next try says that the outcome is unknown.
        case let verdict where verdict.hasPrefix("502") || verdict == "409 GATEWAY_IDEMPOTENCY_IN_PROGRESS": break
        case let verdict: Issue.record("\(verdict): \(answer.bodyText)")
        }
        Thread.sleep(forTimeInterval: 0.001)
      }
      Issue.record("no outcome within 60 s")
    }

    static func attempt(_ body: String, _ port: UInt16) throws -> TestMessage? {
      let socket = try TestSocket(port: port)
      let key = body.replacing("\"", with: "")
      try socket.send(KeyedStage.request(key, body, fields: ["Connection: close"]))
      var reader = TestMessageReader(socket)
      return try reader.next()
    }
  }
}
