import Testing
import Upstream

@testable import Gateway

@Suite struct ExchangeMachineTests {
  static let connectFaults: [(ConnectFault.Kind, Fault)] = [
    (.refused, .refused), (.unresolved, .unresolved), (.tlsFailed, .tlsFailed), (.timedOut, .connectTimedOut),
    (.spokeFirst, .malformed),
  ]

  @Test(arguments: connectFaults)
  func `a failed connect is answered, and nothing was sent`(kind: ConnectFault.Kind, fault: Fault) {
    var machine = ExchangeMachine(isWrite: true, mayRetry: false)
    #expect(machine.admitted(hasBody: false) == .acquire(fresh: false))
    #expect(machine.connectFailed(kind) == .answer(fault))
    #expect(machine.outcome == .notSent)
    #expect(machine.state == .answering)
  }

  @Test func `a body is gathered before a connection is asked for`() {
    var machine = ExchangeMachine(isWrite: true, mayRetry: false)
    #expect(machine.admitted(hasBody: true) == .gather)
    #expect(machine.bodyGathered() == .acquire(fresh: false))
    var late = Self.inState(.gathering)
    #expect(late.deadlinePassed(waitingFor: .clientBody) == .answer(.bodyTimedOut) && late.outcome == .notSent)
    var gone = Self.inState(.gathering)
    #expect(gone.clientLeft() == .abandon && gone.outcome == .notSent)
    var refused = Self.inState(.gathering)
    #expect(refused.bodyRefused(.bodyTooLarge) == .answer(.bodyTooLarge) && refused.outcome == .notSent)
  }

  @Test func `nothing of an audited write is sent before its intent is durable`() {
    var machine = ExchangeMachine(isWrite: true, mayRetry: false, isAudited: true)
    #expect(machine.admitted(hasBody: true) == .gather)
    #expect(machine.bodyGathered() == .declare)
    #expect(machine.state == .awaitingIntent)
    #expect(machine.intentBecameDurable() == .acquire(fresh: false))
    var failed = Self.inState(.awaitingIntent)
    #expect(failed.intentFailed() == .answer(.auditUnavailable) && failed.outcome == .notSent)
    var gone = Self.inState(.awaitingIntent)
    #expect(gone.clientLeft() == .abandon && gone.outcome == .notSent)
  }

  @Test func `a full queue is answered, and nothing was sent`() {
    var machine = ExchangeMachine(isWrite: true, mayRetry: false)
    _ = machine.admitted(hasBody: false)
    #expect(machine.queueWasFull() == .answer(.busy))
    #expect(machine.outcome == .notSent)
  }

  @Test func `a pooled connection that is not fit for the first byte is replaced, and that is no try`() {
    var machine = ExchangeMachine(isWrite: true, mayRetry: false)
    _ = machine.admitted(hasBody: false)
    _ = machine.leased(isPooled: true)
    #expect(machine.connectionWasUnfit() == .replaceConnection)
    #expect(machine.state == .connecting && machine.tries == 0 && machine.outcome == .notSent)
    _ = machine.leased(isPooled: false)
    #expect(machine.connectionWasUnfit() == .answer(.malformed) && machine.outcome == .notSent)
  }

  @Test(arguments: [false, true], [false, true])
  func `a write is never tried again`(isPooled: Bool, answerBytes: Bool) {
    var machine = Self.sent(isWrite: true, mayRetry: false, isPooled: isPooled)
    #expect(machine.upstreamBroke(answerBytes: answerBytes) == .answer(.broken))
    #expect(machine.outcome == .unknown)
    #expect(machine.tries == 1)
  }

  @Test(arguments: [(true, false, true), (true, true, false), (false, false, false), (false, true, false)])
  func `a read is tried again only after a dead pooled connection without an answer`(
    isPooled: Bool, answerBytes: Bool, retries: Bool
  ) {
    var machine = Self.sent(isWrite: false, mayRetry: true, isPooled: isPooled)
    let action = machine.upstreamBroke(answerBytes: answerBytes)
    #expect(action == (retries ? .acquire(fresh: true) : .answer(.broken)))
  }

  @Test func `a read is tried twice at most`() {
    var machine = Self.sent(isWrite: false, mayRetry: true, isPooled: true)
    #expect(machine.upstreamBroke(answerBytes: false) == .acquire(fresh: true))
    #expect(machine.outcome == .notSent)
    _ = machine.leased(isPooled: true)
    machine.sendingBegan()
    #expect(machine.upstreamBroke(answerBytes: false) == .answer(.broken))
    #expect(machine.tries == 2)
  }

  @Test func `an answer that breaks after its head is cut`() {
    var machine = Self.sent(isWrite: false, mayRetry: true, isPooled: true)
    machine.answerHeadReceived()
    #expect(machine.upstreamBroke(answerBytes: true) == .cut)
    #expect(machine.state == .finished)
  }

  @Test func `a malformed answer is told before its head was relayed, and cut after it`() {
    var before = Self.sent(isWrite: true, mayRetry: false, isPooled: false)
    #expect(before.answerWasMalformed() == .answer(.malformed))
    var after = Self.sent(isWrite: true, mayRetry: false, isPooled: false)
    after.answerHeadReceived()
    #expect(after.answerWasMalformed() == .cut)
  }

  @Test func `a write whose client left is seen through, a read is abandoned`() {
    var write = Self.sent(isWrite: true, mayRetry: false, isPooled: false)
    #expect(write.clientLeft() == .none)
    #expect(write.state == .awaitingAnswer)
    write.answerHeadReceived()
    #expect(write.answerEnded() == .complete)
    var read = Self.sent(isWrite: false, mayRetry: true, isPooled: false)
    #expect(read.clientLeft() == .abandon)
  }

  @Test func `a write whose client left in the middle of the body is abandoned, its fate unknown`() {
    var machine = ExchangeMachine(isWrite: true, mayRetry: false)
    _ = machine.admitted(hasBody: false)
    _ = machine.leased(isPooled: false)
    machine.sendingBegan()
    #expect(machine.clientLeft() == .abandon)
    #expect(machine.outcome == .unknown)
  }

  @Test func `an abandoned write that then fails is abandoned too`() {
    var machine = Self.sent(isWrite: true, mayRetry: false, isPooled: false)
    _ = machine.clientLeft()
    #expect(machine.upstreamBroke(answerBytes: false) == .abandon)
    #expect(machine.outcome == .unknown)
  }

  static let deadlines: [(ExchangeMachine.State, Wait, ExchangeMachine.Action)] = [
    (.connecting, .connect, .answer(.connectTimedOut)), (.awaitingSlot, .slot, .answer(.busy)),
    (.awaitingIntent, .intent, .answer(.auditUnavailable)), (.sending, .clientBody, .answer(.bodyTimedOut)),
    (.sending, .upstreamRoom, .answer(.timedOut)),
    (.awaitingAnswer, .answerHead, .answer(.timedOut)), (.relaying, .answerBody, .cut),
    (.relaying, .clientRoom, .cut), (.answering, .clientRoom, .cut), (.finished, .nobody, .none),
  ]

  @Test(arguments: deadlines)
  func `every state has its answer to a passed deadline`(
    state: ExchangeMachine.State, wait: Wait, action: ExchangeMachine.Action
  ) {
    var machine = Self.inState(state)
    #expect(machine.state == state)
    #expect(machine.deadlinePassed(waitingFor: wait) == action)
  }

  private static func sent(isWrite: Bool, mayRetry: Bool, isPooled: Bool) -> ExchangeMachine {
    var machine = ExchangeMachine(isWrite: isWrite, mayRetry: mayRetry)
    _ = machine.admitted(hasBody: false)
    _ = machine.leased(isPooled: isPooled)
    machine.sendingBegan()
    machine.requestSent()
    return machine
  }

  private static func inState(_ state: ExchangeMachine.State) -> ExchangeMachine {
    var machine = ExchangeMachine(isWrite: true, mayRetry: false)
    switch state {
    case .admitting: break
    case .answering: machine.refused()
    case .gathering: _ = machine.admitted(hasBody: true)
    case .awaitingIntent:
      machine = ExchangeMachine(isWrite: true, mayRetry: false, isAudited: true)
      _ = machine.admitted(hasBody: false)
    case .connecting: _ = machine.admitted(hasBody: false)
    case .awaitingSlot:
      _ = machine.admitted(hasBody: false)
      machine.queued()
    case .sending:
      _ = machine.admitted(hasBody: false)
      _ = machine.leased(isPooled: false)
    case .awaitingAnswer: machine = sent(isWrite: true, mayRetry: false, isPooled: false)
    case .relaying:
      machine = sent(isWrite: true, mayRetry: false, isPooled: false)
      machine.answerHeadReceived()
    case .finished:
      machine = sent(isWrite: true, mayRetry: false, isPooled: false)
      machine.answerHeadReceived()
      _ = machine.answerEnded()
    }
    return machine
  }
}
