import Reactor
import TestSupport

/// A client with some requests on one connection, well-behaved or not.
final class SimulatedClient: SimulatedPeer {
  private let run: SimulationRun
  private let number: Int
  private var methods: [String] = []
  private var requests: [[UInt8]] = []
  private var asked = 0
  private var answered = 0
  private let isHasty: Bool
  /// Answers after which it is gone without a word.
  private let patience: Int

  init(_ run: SimulationRun, number: Int, requests count: Int, _ end: SimulatedEnd) {
    self.run = run
    self.number = number
    isHasty = Int.random(in: 0..<3, using: &run.kernel.random) == 0
    patience =
      Int.random(in: 0..<6, using: &run.kernel.random) == 0
      ? Int.random(in: 0..<count, using: &run.kernel.random) : .max
    super.init(run.kernel, end)
    for request in 0..<count { add(SimulatedTag.make(number, request)) }
  }

  private func add(_ tag: String) {
    let lot = Int.random(in: 0..<12, using: &kernel.random)
    let target = lot == 0 ? "/nowhere?t=\(tag)" : "/proxy/balances?t=\(tag)&instance_id=one"
    let token = lot == 1 ? "nobody" : TestPolicyFolder.token
    let head = "\(target) HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \(token)\r\n"
    let units = Int.random(in: 1...(lot == 2 ? 6_000 : 60), using: &kernel.random)
    let body = String(repeating: "\(tag).", count: units)
    switch lot {
    case 2..<5: note("POST", "POST \(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    case 5, 6:
      note(
        "POST",
        "POST \(head)Transfer-Encoding: chunked\r\n\r\n\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\n\r\n")
    case 7: note("HEAD", "HEAD \(head)\r\n")
    case 8: note("POST", "POST \(head)Expect: 100-continue\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    default: note("GET", "GET \(head)\r\n")
    }
  }

  private func note(_ method: String, _ bytes: String) {
    methods.append(method)
    requests.append(Array(bytes.utf8))
  }

  func begin() {
    if isHasty { requests.forEach(ask) } else { ask(requests[0]) }
  }

  private func ask(_ bytes: [UInt8]) {
    asked += 1
    send(bytes)
  }

  override func hasReceived() {
    while answered < methods.count, let answer = reader.next(hasBody: methods[answered] != "HEAD") {
      if answer.isInterim { continue }
      judge(answer)
      answered += 1
      if answered > patience { return leave() }
      if answered == methods.count { return finish() }
      if !isHasty, asked == answered { ask(requests[asked]) }
    }
  }

  private func judge(_ answer: SimulatedMessage) {
    let tag = SimulatedTag.make(number, answered)
    run.expect(answered < asked, "client \(number) got an answer that it did not ask for")
    run.clientSaw(answer.field("X-Request-Id") ?? "")
    guard answer.status == 200 else { return run.expect(answer.status >= 400, "status \(answer.startLine)") }
    run.expect(answer.isBody(of: tag), "client \(number) got another body than that of \(tag)")
  }

  private func finish() {
    if Bool.random(using: &kernel.random) { leave() } else { endOutput() }
  }
}
