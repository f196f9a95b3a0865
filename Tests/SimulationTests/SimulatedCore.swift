import TestSupport

/// A Core on one connection: answers each request with the request's tag, or behaves like a faulty Core.
///
/// It checks that requests arrive only when they may: after the complete response to the previous one, and not on a
/// connection that is no longer fit for one.
final class SimulatedCore: SimulatedPeer {
  private unowned let run: SimulationRun
  /// Whether there is a request without a complete response.
  private var isInRequest = false
  /// Its progress: a request ends when it was sent completely, although perhaps not yet read, and its response as well.
  private var hasRequest = false
  private var hasAnswered = false
  private var hasBegunEarly = false
  private var hasJudgedHead = false
  /// Parses what the gateway has sent.
  private var wire = TestMessageParser()
  /// Why no request may begin here after this turn of the loop: the gateway gets the event in the next one.
  private var unfit: (reason: String, after: Int)?

  init(_ run: SimulationRun, _ end: SimulatedEnd) {
    self.run = run
    super.init(run.kernel, end)
  }

  override func gatewaySent(_ bytes: [UInt8]) {
    // A stalled end never sends this.
    guard !end.isStalled else { return }
    run.expect(!hasRequest, "Core got more before its response was complete")
    // A body never begins like a head.
    let isHead = ["GET /", "HEAD /", "POST /"].contains { bytes.starts(with: $0.utf8) }
    run.expect(!isHead || !isInRequest, "Core got a request within another")
    if !isInRequest { beginRequest() }
    wire.append(bytes)
    guard wire.next() != nil else { return }
    hasRequest = true
    endRequest()
  }

  private func beginRequest() {
    isInRequest = true
    if let unfit { run.expect(kernel.turns <= unfit.after, "Core got a request \(unfit.reason)") }
  }

  override func hasReceived() {
    while let request = reader.next() {
      guard let tag = request.tag else { return run.expect(false, "Core got \(request.startLine)") }
      run.expect(request.isBody(of: tag), "Core got a body that is not that of \(tag)")
      hasJudgedHead = false
      if !hasBegunEarly {
        run.coreSaw(request, tag)
        act(request, tag)
      }
      hasBegunEarly = false
    }
    answerEarly()
  }

  override func hasEnded() { leave() }

  /// Answers some requests after their head: if the rest never arrives, no other request may follow on the connection.
  private func answerEarly() {
    guard !hasJudgedHead, let request = reader.head else { return }
    hasJudgedHead = true
    guard Int.random(in: 0..<8, using: &kernel.random) == 0, let tag = request.tag else { return }
    hasBegunEarly = true
    run.coreSaw(request, tag)
    finish(SimulatedAnswer(request, tag, using: &kernel.random).bytes)
  }

  private func act(_ request: TestMessage, _ tag: String) {
    let conduct = CoreConduct.any(using: &kernel.random)
    var answer = SimulatedAnswer(request, tag, conduct, using: &kernel.random)
    switch conduct {
    case .answers: finish(answer.bytes)
    case .answersLate: later { [bytes = answer.bytes] in $0.finish(bytes) }
    case .pauses:
      let bytes = answer.bytes
      send(Array(bytes[..<(bytes.count / 2)]))
      later { $0.finish(Array(bytes[(bytes.count / 2)...])) }
    case .saysClose:
      // The gateway has to close.
      unfit = ("after Core said close", kernel.turns - 1)
      finish(answer.bytes)
    case .saysMore, .saysMoreBehindFullRead:
      if conduct == .saysMoreBehindFullRead { answer.fill(run.readBytes, using: &kernel.random) }
      unfit = ("after Core said more than it was asked", kernel.turns - 1)
      // Immediately, so that it has arrived when the response is complete: later it could not be told apart.
      kernel.calls.deliver(answer.bytes + SimulatedAnswer.stray, to: end)
      hasAnswered = true
      endRequest()
    case .babblesSoon: finish(answer.bytes) { $0.babble() }
    case .babblesLater:
      finish(answer.bytes)
      later { $0.babble() }
    case .endsSoon: finish(answer.bytes) { $0.endAtRest() }
    case .endsLater:
      finish(answer.bytes)
      later { $0.endAtRest() }
    case .answersUntilClose: send(answer.bytes) { [unowned self] in endOutput() }
    case .breaksOff: send(Array(answer.bytes.prefix(answer.bytes.count / 2))) { [unowned self] in endOutput() }
    case .babbles: send(Array("garbage\r\n\r\n".utf8))
    case .neverAnswers: break
    case .endsOutput: endOutput()
    case .leaves: leave()
    }
  }

  /// Sends the rest of a response.
  ///
  /// - Parameter next: called in the turn after the gateway receives it.
  private func finish(_ bytes: [UInt8], next: ((SimulatedCore) -> Void)? = nil) {
    send(bytes) { [unowned self] in
      hasAnswered = true
      endRequest()
      guard let next else { return }
      kernel.after(0) { [weak self] in
        if let self, !hasLeft { next(self) }
      }
    }
  }

  private func babble() {
    atRest("after unsolicited bytes") { $0.kernel.calls.deliver(SimulatedAnswer.stray, to: $0.end) }
  }

  private func endAtRest() { atRest("after the end") { $0.endOutput() } }

  private func endRequest() {
    guard hasRequest, hasAnswered else { return }
    (isInRequest, hasRequest, hasAnswered) = (false, false, false)
  }

  /// After about the longest time that the gateway waits.
  private func later(_ act: @escaping (SimulatedCore) -> Void) {
    kernel.after(Int64.random(in: 100...4_000, using: &kernel.random)) { [weak self] in
      if let self, !hasLeft { act(self) }
    }
  }

  /// Makes the connection unfit, unless a request is in progress, which the bytes could be the response to.
  private func atRest(_ reason: String, _ act: (SimulatedCore) -> Void) {
    guard !isInRequest else { return }
    unfit = (reason, kernel.turns - 1)
    act(self)
  }
}
