/// A call that must be refused, and how.
struct Refusal {
  let title: String
  let request: DemoRequest
  let status: Int
  /// Behind `GATEWAY_`.
  let code: String
  var challenge: String?
  var allow: String?
  var outcome: String?
  /// Whether the connection must end, because nobody knows where the next request begins.
  var closes = false

  /// What is wrong with an answer.
  func complaints(_ answer: GatewayResponse) -> [String?] {
    let id = answer.value(of: "X-Request-Id") ?? ""
    return [
      differs("status", answer.status, from: status),
      differs("code", answer.text("code"), from: "GATEWAY_\(code)"),
      differs("WWW-Authenticate", answer.value(of: "WWW-Authenticate"), from: challenge),
      differs("Allow", answer.value(of: "Allow"), from: allow),
      differs("outcome", answer.text("outcome"), from: outcome),
      differs("Content-Type", answer.value(of: "Content-Type"), from: "application/json"),
      differs("request_id", answer.text("request_id"), from: id),
      differs("error", answer.text("error"), from: answer.text("message")),
      id.count == 32 ? nil : "X-Request-Id is not 32 digits",
      differs("Connection", answer.value(of: "Connection"), from: closes ? "close" : nil),
    ]
  }
}
