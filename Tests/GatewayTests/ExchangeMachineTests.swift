import Policies
import Testing
import Upstream

@testable import Gateway

/// What the exchange promises, beyond the table's single steps.
@Suite struct ExchangeMachineTests {
  typealias Machine = ExchangeMachine

  private static let write = Machine.Plan(isWrite: true)
  private static let read = Machine.Plan(isRepeatable: true)

  /// A machine after these events, none of which is illegal.
  private static func machine(_ plan: Machine.Plan, _ events: Machine.Event...) -> Machine {
    var machine = Machine()
    for event in [.admitted(plan)] + events { #expect(machine.on(event) != .trap, "\(event)") }
    return machine
  }

  private static func sent(_ plan: Machine.Plan, pooled: Bool = true) -> Machine {
    machine(plan, .leased(pooled: pooled), .firstByteSent, .requestSent)
  }

  private static let lost = Machine.Event.upstreamEnded(bytesCame: false)

  // MARK: Once on the wire

  @Test(arguments: [false, true], [false, true])
  func `a write is never tried again`(pooled: Bool, bytesCame: Bool) {
    var machine = Self.sent(Self.write, pooled: pooled)
    #expect(
      machine.on(.upstreamEnded(bytesCame: bytesCame)) == .reply(.closedWithoutResponse))
    #expect(machine.outcome == .unknown && machine.tries == 1)
  }

  @Test func `a write whose key was refused is not tried again, and was not executed`() {
    var machine = Self.sent(Self.write)
    #expect(machine.on(.keyRefused(hasAnother: true)) == .reply(.keyRefused))
    #expect(machine.outcome == .notSent)
  }

  @Test(arguments: [(true, false, true), (true, true, false), (false, false, false), (false, true, false)])
  func `a read is tried again only after a dead pooled connection without a byte of a response`(
    pooled: Bool, bytesCame: Bool, isRepeated: Bool
  ) {
    var machine = Self.sent(Self.read, pooled: pooled)
    let action = machine.on(.upstreamEnded(bytesCame: bytesCame))
    #expect(action == (isRepeated ? .acquire(fresh: true) : .reply(.closedWithoutResponse)))
  }

  @Test func `a read is tried twice at most, whatever ends its tries`() {
    var dead = Self.sent(Self.read)
    #expect(dead.on(Self.lost) == .acquire(fresh: true))
    for event in [.leased(pooled: true), .firstByteSent, .requestSent] as [Machine.Event] { _ = dead.on(event) }
    var refused = dead
    #expect(dead.on(Self.lost) == .reply(.closedWithoutResponse) && dead.tries == 2)
    #expect(refused.on(.keyRefused(hasAnother: true)) == .reply(.keyRefused))
  }

  @Test func `a read whose client left is not tried again`() {
    var machine = Self.sent(Self.read)
    #expect(machine.on(.clientLeft) == .finish(.clientLeft(after: nil)))
  }

  @Test func `a pooled connection that is unfit before the first byte is replaced, a new one is a fault`() {
    var machine = Self.machine(Self.write, .leased(pooled: true))
    #expect(machine.on(.connectionUnfit(.closedEarly)) == .replaceConnection && machine.outcome == .notSent)
    _ = machine.on(.leased(pooled: false))
    #expect(machine.on(.connectionUnfit(.closedEarly)) == .reply(.connect(.closedEarly)))
    #expect(machine.outcome == .notSent && machine.tries == 0)
  }

  // MARK: What became of it

  @Test func `not sent is said only when no byte of any try has left`() {
    var machine = Self.sent(Self.read)
    _ = machine.on(Self.lost)
    #expect(machine.on(.connectFailed(.refused)) == .reply(.connect(.refused)))
    #expect(machine.outcome == .unknown)
  }

  @Test func `a refused key clears its own try alone`() {
    var machine = Self.sent(Self.read)
    _ = machine.on(Self.lost)
    for event in [.leased(pooled: false), .firstByteSent, .requestSent] as [Machine.Event] { _ = machine.on(event) }
    #expect(machine.on(.keyRefused(hasAnother: false)) == .reply(.keyRefused))
    #expect(machine.outcome == .unknown)
  }

  @Test(arguments: ConnectFault.Kind.allCases)
  func `a failed connect says that nothing was sent`(kind: ConnectFault.Kind) {
    var machine = Self.machine(Self.write)
    #expect(machine.on(.connectFailed(kind)) == .reply(.connect(kind)) && machine.outcome == .notSent)
  }

  @Test func `the outcome is unknown from the first byte on`() {
    var machine = Self.machine(Self.write, .leased(pooled: false))
    #expect(machine.outcome == .notSent)
    _ = machine.on(.firstByteSent)
    #expect(machine.outcome == .unknown)
    #expect(machine.on(.clientLeft) == .finish(.clientLeft(after: nil)) && machine.outcome == .unknown)
  }

  // MARK: Who is to blame

  @Test func `whoever owes bytes is to blame, whatever Core says meanwhile`() {
    var machine = Self.machine(Self.write, .leased(pooled: true), .firstByteSent, .bodyExhausted)
    #expect(machine.wait == .clientBody)
    var late = machine
    #expect(late.on(.deadlinePassed) == .reply(.bodyTimedOut))
    #expect(Fault.bodyTimedOut.breaker == .nothing && Fault.bodyTimedOut.source == .client)
    #expect(machine.on(Self.lost) == .reply(.closedDuringUpload))
    #expect(Fault.closedDuringUpload.breaker == .nothing)
  }

  @Test func `a client that has stalled once is to blame when the rest of its body meets a closed connection`() {
    var machine = Self.machine(Self.write, .leased(pooled: true), .firstByteSent, .bodyExhausted, .sendResumed)
    #expect(machine.on(.sendFailed) == .readResponse)
    #expect(machine.on(Self.lost) == .reply(.closedDuringUpload))
    var whole = Self.machine(
      Self.write, .leased(pooled: true), .firstByteSent, .bodyExhausted, .sendResumed, .requestSent)
    #expect(whole.on(Self.lost) == .reply(.closedWithoutResponse))
  }

  @Test(arguments: [(200, true), (404, true), (500, true), (501, true), (502, false), (503, false), (504, false)])
  func `the breaker hears what the status says of the instance`(status: Int, isSuccess: Bool) {
    var machine = Self.sent(Self.read)
    #expect(machine.on(.responseBegan(status: status)) == .relay(isSuccess ? .success : .failure))
  }

  @Test func `after a failed write a response that lies in the socket is still relayed`() {
    var machine = Self.machine(Self.write, .leased(pooled: true), .firstByteSent)
    #expect(machine.on(.sendFailed) == .readResponse)
    #expect(machine.on(.responseBegan(status: 413)) == .relay(.success))
    #expect(machine.on(.responseDelivered) == .finish(.complete(requestSent: false)))
  }

  // MARK: A client that left

  @Test func `a write that Core has whole is seen through, and its end is told to the breaker`() {
    var machine = Self.sent(Self.write)
    #expect(machine.on(.clientLeft) == .none && machine.clientIsGone)
    var answered = machine
    #expect(answered.on(.responseBegan(status: 200)) == .relay(.success))
    #expect(answered.on(.clientLeft) == .none)
    #expect(answered.on(.responseDelivered) == .finish(.complete(requestSent: true)))
    #expect(machine.on(Self.lost) == .finish(.clientLeft(after: .closedWithoutResponse)))
    #expect(machine.outcome == .unknown)
  }

  @Test func `a response that breaks after its client left names both`() {
    var machine = Self.sent(Self.write)
    _ = machine.on(.clientLeft)
    _ = machine.on(.responseBegan(status: 200))
    #expect(machine.on(.deadlinePassed) == .finish(.clientLeft(after: .responseStalled)))
  }
}
