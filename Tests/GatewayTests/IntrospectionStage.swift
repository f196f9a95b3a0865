import Gateway
import Synchronization
import TestSupport

/// A gateway with the provider `corp`, whose endpoint answers as the test says.
final class IntrospectionStage: Sendable {
  static let target = "/proxy/balances?instance_id=one"
  static let active =
    #"{"active":true,"client_id":"svc","aud":["ledger"],"scope":"ledger.read ledger.write","exp":4102444800}"#

  let core: ScriptedUpstream
  let endpoint: ScriptedUpstream
  let gateway: RunningGateway
  private let answer: SharedAnswer

  private final class SharedAnswer: Sendable {
    /// The argument is the question's form.
    let value = Mutex<@Sendable (String) -> ScriptedUpstream.Answer> { _ in
      .bytes(ScriptedUpstream.json(#"{"active":false}"#))
    }
  }

  init(
    loops: Int = 1, url: String? = nil, core: ScriptedUpstream? = nil, provider: [String: any Sendable] = [:],
    instance: [String: any Sendable] = [:], settings: [String: any Sendable] = [:]
  ) throws {
    let answer = SharedAnswer()
    self.answer = answer
    self.core = try core ?? ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    endpoint = try ScriptedUpstream { request in answer.value.withLock(\.self)(request.message.bodyText) }
    let all = Self.settings(url ?? "http://127.0.0.1:\(endpoint.port)/introspect", provider)
    gateway = try RunningGateway(
      upstreams: [("one", self.core.port)], loops: loops, instance: instance,
      gateway: ["admin": "127.0.0.1:0"].merging(all) { $1 }.merging(settings) { $1 })
  }

  static func settings(_ url: String, _ changes: [String: any Sendable] = [:]) -> [String: any Sendable] {
    let provider: [String: any Sendable] = [
      "url": url, "client_id": "gate way", "client_secret": ["env": "TEST_KEY"], "default": true,
      "audience": "ledger", "scopes": ["ledger.read": ["proxy:read"], "ledger.write": ["proxy:write"]],
      "clients": ["by_client_id": ["svc": "app"], "by_sub": ["alice": "reader"]], "timeout_s": 2,
    ]
    return ["introspection": ["corp": provider.merging(changes) { $1 }]]
  }

  func answers(_ answer: @escaping @Sendable () -> ScriptedUpstream.Answer) { answers(toForm: { _ in answer() }) }

  func answers(toForm answer: @escaping @Sendable (String) -> ScriptedUpstream.Answer) {
    self.answer.value.withLock { $0 = answer }
  }

  func answers(_ json: String, status: String = "200 OK") {
    answers { .bytes(ScriptedUpstream.json(json, status: status)) }
  }

  /// The exchanges that wait for a connection to Core.
  var waiting: Int { (try? gateway.askAdmin("/metrics")?.queued(for: "one")) ?? 0 }

  /// The questions that the endpoint did not get.
  var unasked: Double {
    get throws {
      try gateway.askAdmin("/metrics")?.samples["blnk_gateway_introspection_unasked_total{provider=\"corp\"}"] ?? 0
    }
  }

  func ask(_ method: String = "GET", token: String = "opaque-1") throws -> TestMessage? {
    try gateway.ask(method, Self.target, body: method == "POST" ? "{}" : nil, token: token)
  }

  /// Answers once the flag is set.
  func holdsAnswer(_ json: String = active) -> Flag {
    let mayAnswer = Flag()
    answers {
      _ = eventually { mayAnswer.isSet }
      return .bytes(ScriptedUpstream.json(json))
    }
    return mayAnswer
  }
}
