import Foundation
import Synchronization
import TestFolders
import TestSupport

/// A gateway with a journal of idempotency keys, in its own process, whose Core answers as the test says.
final class KeyedStage {
  let core: ScriptedUpstream
  let folder: TestPolicyFolder
  private(set) var gateway: GatewayProcess
  private let answer: Answer

  /// The answer to the next requests.
  private final class Answer: Sendable {
    let value: Mutex<@Sendable (ScriptedUpstream.Request) -> ScriptedUpstream.Answer>

    init(_ value: @escaping @Sendable (ScriptedUpstream.Request) -> ScriptedUpstream.Answer) {
      self.value = Mutex(value)
    }
  }

  static let created = #"{"ledger_id":"ldg_1"}"#

  init(
    loops: Int = 1, idempotency: [String: any Sendable] = [:], settings: [String: any Sendable] = [:],
    instance: [String: any Sendable] = [:], routes: [String: any Sendable]? = nil, isAudited: Bool = true,
    program: String? = nil, wrapper: (TestPolicyFolder) -> [String] = { _ in [] }
  ) throws {
    let answer = Answer { _ in .bytes(ScriptedUpstream.json(Self.created, status: "201 Created")) }
    self.answer = answer
    core = try ScriptedUpstream { request in answer.value.withLock(\.self)(request) }
    let audit: [String: any Sendable] = isAudited ? ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"]] : [:]
    folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)"), ("two", "http://127.0.0.1:\(core.port)")], loops: loops,
      instance: instance,
      gateway: ["idempotency": idempotency].merging(audit) { $1 }.merging(settings) { $1 }, routes: routes)
    gateway = try GatewayProcess(folder, wrapper: wrapper(folder), program: program)
  }

  func answers(_ script: @escaping @Sendable (ScriptedUpstream.Request) -> ScriptedUpstream.Answer) {
    answer.value.withLock { $0 = script }
  }

  func answers(_ status: String, _ body: String = created) {
    answers { _ in .bytes(ScriptedUpstream.json(body, status: status)) }
  }

  func restart(killing: Bool) throws {
    if killing {
      gateway.signal(SIGKILL)
      _ = gateway.waitForEnd()
    } else {
      gateway.stop()
    }
    gateway = try GatewayProcess(folder)
  }

  static let target = "/proxy/balances?instance_id=one"

  static func request(
    _ key: String?, _ body: String = #"{"name":"a"}"#, method: String = "POST", target: String = target,
    fields: [String] = [], token: String = TestPolicyFolder.token
  ) -> String {
    let key = key.map { ["Idempotency-Key: \($0)"] } ?? []
    return testRequest(method, target, fields: key + fields, body: method == "GET" ? nil : body, token: token)
  }

  /// One keyed write on a new connection.
  func write(
    _ key: String?, _ body: String = #"{"name":"a"}"#, method: String = "POST", target: String = target,
    token: String = TestPolicyFolder.token
  ) throws -> TestMessage {
    let socket = try TestSocket(port: gateway.port)
    try socket.send(
      Self.request(key, body, method: method, target: target, fields: ["Connection: close"], token: token))
    var reader = TestMessageReader(socket)
    guard let answer = try reader.next() else { throw NoAnswer() }
    return answer
  }

  struct NoAnswer: Error {}

  /// How many requests Core has got.
  var executions: Int { core.requests.count }
}

extension TestMessage {
  /// The status, and `replayed` or the code of a local reply.
  var verdict: String {
    let mark = values("Idempotent-Replayed") == ["true"] ? "replayed" : member("code")
    return "\(status)\(mark.map { " \($0)" } ?? "")"
  }
}
