import Reactor
import TestSupport

/// A client with some requests on one connection, well-behaved or not.
final class SimulatedClient: SimulatedPeer {
  private enum Conduct: CaseIterable {
    /// Sends requests, reads the responses, and ends.
    case asks
    /// Sends all requests at once.
    case pipelines
    /// Disconnects after some responses, or some time after it began.
    case leavesBetween, leavesMidway
    /// Sends part of a request, and nothing more.
    case stalls
    /// Connects and sends nothing, or stays connected after its responses.
    case saysNothing, stays
  }

  private unowned let run: SimulationRun
  private let number: Int
  private let conduct: Conduct
  private var methods: [String] = []
  private var requests: [[UInt8]] = []
  private var asked = 0
  private var answered = 0
  /// The request that it does not complete, or the number of responses after which it leaves.
  private let turningPoint: Int
  /// When something was last sent or received (milliseconds).
  private var heardAt: Int64
  private var isToldOfClose = false
  private var isLetGo = false

  init(_ run: SimulationRun, number: Int, requests count: Int, _ end: SimulatedEnd) {
    self.run = run
    self.number = number
    conduct =
      Bool.random(using: &run.kernel.random)
      ? .asks : Conduct.allCases.randomElement(using: &run.kernel.random) ?? .asks
    turningPoint = Int.random(in: 0..<count, using: &run.kernel.random)
    heardAt = run.kernel.milliseconds
    super.init(run.kernel, end)
    for request in 0..<count { add(SimulatedTag.make(number, request)) }
  }

  private func add(_ tag: String) {
    let lot = Int.random(in: 0..<12, using: &kernel.random)
    let target = lot == 0 ? "/nowhere?t=\(tag)" : "/proxy/balances?t=\(tag)&instance_id=one"
    // Two known clients share the queue.
    let token = lot == 1 ? "unknown" : lot >= 9 ? TestPolicyFolder.readToken : TestPolicyFolder.token
    let head = "\(target) HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \(token)\r\n"
    let units = Int.random(in: 1...(lot == 2 || lot == 8 ? 6_000 : 60), using: &kernel.random)
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
    switch conduct {
    case .pipelines: while asked < requests.count { askNext() }
    case .saysNothing: break
    case .leavesMidway:
      kernel.after(Int64.random(in: 0...1_500, using: &kernel.random)) { [weak self] in self?.leave() }
      askNext()
    case .asks, .leavesBetween, .stalls, .stays: askNext()
    }
  }

  private func askNext() {
    var bytes = requests[asked]
    if conduct == .stalls, asked == turningPoint {
      bytes = Array(bytes.prefix(Int.random(in: 1..<bytes.count, using: &kernel.random)))
    }
    asked += 1
    send(bytes)
  }

  override func hasReceived() {
    heardAt = kernel.milliseconds
    while answered < methods.count, let answer = reader.next(hasBody: methods[answered] != "HEAD") {
      if answer.status / 100 == 1 { continue }
      judge(answer)
      answered += 1
      if conduct == .leavesBetween, answered > turningPoint { return leave() }
      if answered == methods.count { return finish() }
      if conduct != .pipelines, asked == answered { askNext() }
    }
  }

  private func judge(_ answer: TestMessage) {
    let tag = SimulatedTag.make(number, answered)
    run.expect(answered < asked, "client \(number) got an unsolicited response")
    run.clientSaw(answer["X-Request-Id"] ?? "")
    isToldOfClose = answer["Connection"] == "close"
    guard answer.status == 200 else { return run.expect(answer.status >= 400, "status \(answer.startLine)") }
    run.expect(answer["X-Tag"] == tag, "client \(number) got a response to another request than \(tag)")
    run.expect(answer.isBody(of: tag), "client \(number) got another body than \(tag)")
  }

  private func finish() {
    guard conduct != .stays else { return }
    if Bool.random(using: &kernel.random) { leave() } else { endOutput() }
  }

  // MARK: Idle connections

  override func gatewaySent(_ bytes: [UInt8]) { heardAt = kernel.milliseconds }

  /// A silent client is disconnected, neither early nor late, and no client with a request in progress is.
  override func gatewayEnded() {
    // The gateway half-closes first and closes later.
    guard !hasLeft, !isLetGo else { return }
    isLetGo = true
    let waited = kernel.milliseconds - heardAt
    guard conduct == .saysNothing || conduct == .stays && answered == methods.count else {
      let isForgotten = waited >= SimulationRun.idleMilliseconds && answered < asked && conduct != .stalls
      return run.expect(!isForgotten || run.isHarmed, "client \(number) got no response to request \(answered)")
    }
    let isEarly = waited < SimulationRun.idleMilliseconds && !isToldOfClose && !run.isDraining && !run.isHarmed
    run.expect(!isEarly, "client \(number) was disconnected after \(waited) ms")
    // A drain that begins just before keeps the connection for a last request.
    let longest = SimulationRun.idleMilliseconds + (run.isDraining ? SimulationRun.drainIdleMilliseconds : 0)
    run.expect(waited < longest + 50, "client \(number) was kept for \(waited) ms")
  }
}
