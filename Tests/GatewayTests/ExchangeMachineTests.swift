import Policies
import Testing
import Upstream

@testable import Gateway

/// What the exchange guarantees over several steps of its table.
@Suite struct ExchangeMachineTests {
  typealias Machine = ExchangeMachine

  private static let write = Machine.Plan(isWrite: true)
  private static let read = Machine.Plan(isRetryable: true)

  /// A machine after these events, none of which is illegal.
  private static func machine(_ plan: Machine.Plan, _ events: Machine.Event...) -> Machine {
    var machine = Machine()
    for event in [.admitted(plan)] + events { #expect(machine.apply(event) != .illegalEvent, "\(event)") }
    return machine
  }

  private static func sent(_ plan: Machine.Plan, pooled: Bool = true) -> Machine {
    machine(plan, .leased(pooled: pooled), .firstByteSent, .requestSent)
  }

  private static let lost = Machine.Event.upstreamClosed(receivedBytes: false)

  // MARK: Once on the wire

  @Test(arguments: [false, true], [false, true])
  func `a write is never tried again`(pooled: Bool, receivedBytes: Bool) {
    var machine = Self.sent(Self.write, pooled: pooled)
    #expect(
      machine.apply(.upstreamClosed(receivedBytes: receivedBytes)) == .reply(.closedWithoutResponse))
    #expect(machine.outcome == .unknown && machine.tries == 1)
  }

  @Test func `a write whose key was refused is not tried again, and was not executed`() {
    var machine = Self.sent(Self.write)
    #expect(machine.apply(.keyRefused(hasAnother: true)) == .reply(.keyRefused))
    #expect(machine.outcome == .notSent)
  }

  @Test(arguments: [(true, false, true), (true, true, false), (false, false, false), (false, true, false)])
  func `a read is tried again only after a dead pooled connection without a byte of a response`(
    pooled: Bool, receivedBytes: Bool, isRepeated: Bool
  ) {
    var machine = Self.sent(Self.read, pooled: pooled)
    let action = machine.apply(.upstreamClosed(receivedBytes: receivedBytes))
    #expect(action == (isRepeated ? .acquire(fresh: true) : .reply(.closedWithoutResponse)))
  }

  @Test func `a read is tried twice at most, whatever ends its tries`() {
    var dead = Self.sent(Self.read)
    #expect(dead.apply(Self.lost) == .acquire(fresh: true))
    for event in [.leased(pooled: true), .firstByteSent, .requestSent] as [Machine.Event] { _ = dead.apply(event) }
    var refused = dead
    #expect(dead.apply(Self.lost) == .reply(.closedWithoutResponse) && dead.tries == 2)
    #expect(refused.apply(.keyRefused(hasAnother: true)) == .reply(.keyRefused))
  }

  @Test func `a read whose client left is not tried again`() {
    var machine = Self.sent(Self.read)
    #expect(machine.apply(.downstreamClosed) == .finish(.downstreamClosed(after: nil)))
  }

  @Test func `a pooled connection that is unfit before the first byte is replaced, a new one is a fault`() {
    var machine = Self.machine(Self.write, .leased(pooled: true))
    #expect(machine.apply(.connectionUnusable(.closedEarly)) == .replaceConnection && machine.outcome == .notSent)
    _ = machine.apply(.leased(pooled: false))
    #expect(machine.apply(.connectionUnusable(.closedEarly)) == .reply(.connect(.closedEarly)))
    #expect(machine.outcome == .notSent && machine.tries == 0)
  }

  // MARK: Outcome

  @Test func `the outcome is not_sent only if no try sent a byte`() {
    var machine = Self.sent(Self.read)
    _ = machine.apply(Self.lost)
    #expect(machine.apply(.connectFailed(.refused)) == .reply(.connect(.refused)))
    #expect(machine.outcome == .unknown)
  }

  @Test func `a refused key clears only its own try`() {
    var machine = Self.sent(Self.read)
    _ = machine.apply(Self.lost)
    for event in [.leased(pooled: false), .firstByteSent, .requestSent] as [Machine.Event] { _ = machine.apply(event) }
    #expect(machine.apply(.keyRefused(hasAnother: false)) == .reply(.keyRefused))
    #expect(machine.outcome == .unknown)
  }

  @Test(arguments: ConnectFault.Kind.allCases)
  func `a failed connect is not_sent`(kind: ConnectFault.Kind) {
    var machine = Self.machine(Self.write)
    #expect(machine.apply(.connectFailed(kind)) == .reply(.connect(kind)) && machine.outcome == .notSent)
  }

  @Test func `the outcome is unknown from the first byte on`() {
    var machine = Self.machine(Self.write, .leased(pooled: false))
    #expect(machine.outcome == .notSent)
    _ = machine.apply(.firstByteSent)
    #expect(machine.outcome == .unknown)
    #expect(machine.apply(.downstreamClosed) == .finish(.downstreamClosed(after: nil)) && machine.outcome == .unknown)
  }

  // MARK: Blame

  @Test func `the side that owes bytes is at fault, whatever Core sends meanwhile`() {
    var machine = Self.machine(Self.write, .leased(pooled: true), .firstByteSent, .bodyStalled)
    #expect(machine.wait == .requestBody)
    var late = machine
    #expect(late.apply(.deadlinePassed) == .reply(.bodyTimedOut))
    #expect(Fault.bodyTimedOut.breaker == .nothing && Fault.bodyTimedOut.source == .client)
    #expect(machine.apply(Self.lost) == .reply(.closedDuringUpload))
    #expect(Fault.closedDuringUpload.breaker == .nothing)
  }

  @Test func `a client that has stalled once is to blame when the rest of its body meets a closed connection`() {
    var machine = Self.machine(Self.write, .leased(pooled: true), .firstByteSent, .bodyStalled, .sendResumed)
    #expect(machine.apply(.sendFailed) == .readResponse)
    #expect(machine.apply(Self.lost) == .reply(.closedDuringUpload))
    var whole = Self.machine(
      Self.write, .leased(pooled: true), .firstByteSent, .bodyStalled, .sendResumed, .requestSent)
    #expect(whole.apply(Self.lost) == .reply(.closedWithoutResponse))
  }

  @Test(arguments: [(200, true), (404, true), (500, true), (501, true), (502, false), (503, false), (504, false)])
  func `the breaker counts failures by status`(status: Int, isSuccess: Bool) {
    var machine = Self.sent(Self.read)
    #expect(machine.apply(.responseBegan(status: status)) == .relay(isSuccess ? .success : .failure))
  }

  @Test func `after a failed write, a response that has already arrived is relayed`() {
    var machine = Self.machine(Self.write, .leased(pooled: true), .firstByteSent)
    #expect(machine.apply(.sendFailed) == .readResponse)
    #expect(machine.apply(.responseBegan(status: 413)) == .relay(.success))
    #expect(machine.apply(.responseDelivered) == .finish(.complete(requestSent: false)))
  }

  // MARK: A client that left

  @Test func `a write that Core has received completes without its client, and the breaker counts it`() {
    var machine = Self.sent(Self.write)
    #expect(machine.apply(.downstreamClosed) == .none && machine.downstreamIsClosed)
    var answered = machine
    #expect(answered.apply(.responseBegan(status: 200)) == .relay(.success))
    #expect(answered.apply(.downstreamClosed) == .none)
    #expect(answered.apply(.responseDelivered) == .finish(.complete(requestSent: true)))
    #expect(machine.apply(Self.lost) == .finish(.downstreamClosed(after: .closedWithoutResponse)))
    #expect(machine.outcome == .unknown)
  }

  @Test func `a response that breaks after its client left is blamed on both`() {
    var machine = Self.sent(Self.write)
    _ = machine.apply(.downstreamClosed)
    _ = machine.apply(.responseBegan(status: 200))
    #expect(machine.apply(.deadlinePassed) == .finish(.downstreamClosed(after: .responseStalled)))
  }
}
