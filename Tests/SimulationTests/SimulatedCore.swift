/// A Core on one connection: answers each request with the request's own tag, or does what Cores do when they are ill.
///
/// It sees to it that nothing comes where nothing may: a request is answered whole before the next one begins, and none
/// begins on a connection that is not fit for one any more.
final class SimulatedCore: SimulatedPeer {
  private unowned let run: SimulationRun
  /// Whether the gateway has begun a request that has not been answered whole.
  private var isInRequest = false
  /// How far that is: a request is over when it was sent whole, though perhaps not taken, and its answer has gone whole.
  private var hasRequest = false
  private var hasAnswered = false
  private var hasBegunEarly = false
  private var hasJudgedHead = false
  /// Reads what was sent.
  private var wire = SimulatedReader()
  /// Why no request may begin here after a turn of the loop: in the next one the gateway was told.
  private var unfit: (reason: String, after: Int)?

  init(_ run: SimulationRun, _ end: SimulatedEnd) {
    self.run = run
    super.init(run.kernel, end)
  }

  override func gatewaySent(_ bytes: [UInt8]) {
    // What a stalled end was to say never came.
    guard !end.isStalled else { return }
    run.expect(!hasRequest, "Core got more before it had answered whole")
    // No body begins like a head.
    let isHead = ["GET /", "HEAD /", "POST /"].contains { bytes.starts(with: $0.utf8) }
    run.expect(!isHead || !isInRequest, "Core got a request within another")
    if !isInRequest { beginRequest() }
    wire.append(bytes)
    guard wire.next(hasBody: true) != nil else { return }
    hasRequest = true
    endRequest()
  }

  private func beginRequest() {
    isInRequest = true
    if let unfit { run.expect(kernel.turns <= unfit.after, "Core got a request \(unfit.reason)") }
  }

  override func hasReceived() {
    while let request = reader.next(hasBody: true) {
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

  /// Now and then a head is enough: if the rest of that request never comes, no other may take its place.
  private func answerEarly() {
    guard !hasJudgedHead, let head = reader.head else { return }
    hasJudgedHead = true
    let request = SimulatedMessage(lines: head, body: [])
    guard Int.random(in: 0..<8, using: &kernel.random) == 0, let tag = request.tag else { return }
    hasBegunEarly = true
    run.coreSaw(request, tag)
    finish(SimulatedAnswer(request, tag, using: &kernel.random).bytes)
  }

  private func act(_ request: SimulatedMessage, _ tag: String) {
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
      // And leaves it to the gateway to do so.
      unfit = ("after Core said close", kernel.turns - 1)
      finish(answer.bytes)
    case .saysMore, .saysMoreBehindFullRead:
      if conduct == .saysMoreBehindFullRead { answer.fill(run.readBytes, using: &kernel.random) }
      unfit = ("after Core said more than it was asked", kernel.turns - 1)
      // At once, so that what follows is there when the answer is over: later it could not be told apart.
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

  /// Sends the rest of an answer.
  ///
  /// - Parameter next: done in the turn behind the one in which the gateway gets it.
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
    atRest("behind bytes of nobody's") { $0.kernel.calls.deliver(SimulatedAnswer.stray, to: $0.end) }
  }

  private func endAtRest() { atRest("behind the end") { $0.endOutput() } }

  private func endRequest() {
    guard hasRequest, hasAnswered else { return }
    (isInRequest, hasRequest, hasAnswered) = (false, false, false)
  }

  /// After about as long as the gateway waits at most.
  private func later(_ act: @escaping (SimulatedCore) -> Void) {
    kernel.after(Int64.random(in: 100...4_000, using: &kernel.random)) { [weak self] in
      if let self, !hasLeft { act(self) }
    }
  }

  /// Does what throws the connection away, unless a request is under way: what comes then may be its answer.
  private func atRest(_ reason: String, _ act: (SimulatedCore) -> Void) {
    guard !isInRequest else { return }
    unfit = (reason, kernel.turns - 1)
    act(self)
  }
}
