import HTTP1
import Policies
import Testing
import Upstream

@testable import Gateway

/// The exchange's table, pair by pair: each event in each phase, legal or not.
@Suite struct ExchangeTableTests {
  typealias Machine = ExchangeMachine

  /// A phase that an exchange can be in, and how it comes there.
  enum Phase: String, CaseIterable {
    case admitting, awaitingToken, gathering, awaitingIntent, awaitingSlot, connecting
    case sending, sendingBegun, awaitingCapacity, awaitingBody, sent, unsendable
    case relaying, relayingEarly, blocked, blockedEarly
    case replying, finished

    fileprivate var way: [Machine.Event] {
      switch self {
      case .admitting: []
      case .awaitingToken: [.tokenAsked]
      case .gathering: [.admitted(plan)]
      case .awaitingIntent: Phase.gathering.way + [.bodyGathered]
      case .connecting: Phase.awaitingIntent.way + [.intentDurable]
      case .awaitingSlot: Phase.connecting.way + [.queued]
      case .sending: Phase.connecting.way + [.leased(pooled: true)]
      case .sendingBegun: Phase.sending.way + [.firstByteSent]
      case .awaitingCapacity: Phase.sendingBegun.way + [.capacityExhausted]
      case .awaitingBody: Phase.sendingBegun.way + [.bodyExhausted]
      case .sent: Phase.sendingBegun.way + [.requestSent]
      case .unsendable: Phase.sendingBegun.way + [.sendFailed]
      case .relaying: Phase.sent.way + [.responseBegan(status: 200)]
      case .relayingEarly: Phase.awaitingBody.way + [.responseBegan(status: 413)]
      case .blocked: Phase.relaying.way + [.clientBlocked]
      case .blockedEarly: Phase.relayingEarly.way + [.clientBlocked]
      case .replying: [.refused]
      case .finished: [.refused, .replyDelivered]
      }
    }

    /// A write with a body, which is audited.
    private var plan: Machine.Plan { Machine.Plan(isWrite: true, isAudited: true, hasBody: true) }

    fileprivate var machine: Machine {
      var machine = Machine()
      for event in way { #expect(machine.on(event) != .trap, "\(event) on the way to \(self)") }
      return machine
    }
  }

  /// An event, where it is legal, and what follows there: the action, and the phases of request and response.
  struct Row: CustomStringConvertible {
    let event: Machine.Event
    let legal: [(phases: [Phase], next: (Machine.RequestPhase, Machine.ResponsePhase), action: Machine.Action)]
    var description: String { "\(event)" }

    init(
      _ event: Machine.Event,
      _ legal: ([Phase], (Machine.RequestPhase, Machine.ResponsePhase), Machine.Action)...
    ) {
      self.event = event
      self.legal = legal.map { (phases: $0.0, next: $0.1, action: $0.2) }
    }
  }

  private static let beforeReply: [Phase] = [
    .admitting, .awaitingToken, .gathering, .awaitingIntent, .awaitingSlot, .connecting, .sending, .sendingBegun,
    .awaitingCapacity, .awaitingBody, .unsendable,
  ]
  private static let reply = (Machine.RequestPhase.closed, Machine.ResponsePhase.replying)
  private static let end = (Machine.RequestPhase.closed, Machine.ResponsePhase.finished)

  private static func fails(_ phases: [Phase], _ fault: Fault) -> (
    [Phase], (Machine.RequestPhase, Machine.ResponsePhase), Machine.Action
  ) { (phases, reply, .reply(fault)) }

  private static func cuts(_ phases: [Phase], _ fault: Fault) -> (
    [Phase], (Machine.RequestPhase, Machine.ResponsePhase), Machine.Action
  ) { (phases, end, .finish(.cut(fault))) }

  static let rows: [Row] = [
    Row(.tokenAsked, ([.admitting], (.awaitingToken, .none), .none)),
    Row(.tokenSettled, ([.awaitingToken], (.admitting, .none), .admit)),
    Row(
      .admitted(Machine.Plan(isWrite: true, isAudited: true, hasBody: true)),
      ([.admitting], (.gathering, .none), .gather)),
    Row(.refused, ([.admitting, .awaitingIntent, .connecting, .sending], reply, .refuse)),
    Row(.bodyGathered, ([.gathering], (.awaitingIntent, .none), .declareIntent)),
    Row(.intentDurable, ([.awaitingIntent], (.connecting, .none), .acquire(fresh: false))),
    Row(.intentFailed, fails([.awaitingIntent], .auditUnavailable)),
    Row(.queued, ([.connecting], (.awaitingSlot, .none), .none)),
    Row(.queueFull, fails([.connecting, .awaitingSlot], .queueFull)),
    Row(.leased(pooled: true), ([.connecting, .awaitingSlot], (.sending, .none), .send)),
    Row(.connectBegan, ([.connecting, .awaitingSlot], (.connecting, .none), .none)),
    Row(.connectFailed(.unresolved), fails([.connecting], .connect(.unresolved))),
    Row(.connectionUnfit(.spokeFirst), ([.sending], (.connecting, .none), .replaceConnection)),
    Row(.firstByteSent, ([.sending], (.sending, .none), .none)),
    Row(.capacityExhausted, ([.sending, .sendingBegun], (.awaitingCapacity, .none), .none)),
    Row(.bodyExhausted, ([.sending, .sendingBegun], (.awaitingBody, .none), .none)),
    Row(.sendResumed, ([.awaitingCapacity, .awaitingBody], (.sending, .none), .send)),
    Row(.requestSent, ([.sending, .sendingBegun], (.sent, .none), .none)),
    Row(.sendFailed, ([.sending, .sendingBegun], (.unsendable, .none), .readResponse)),
    Row(.bodyRefused(.bodyTooLarge), fails([.gathering, .sending, .sendingBegun], .bodyTooLarge)),
    Row(
      .keyRefused(hasAnother: true), fails([.sent, .awaitingBody, .awaitingCapacity, .unsendable], .keyRefused)),
    Row(
      .responseBegan(status: 200), ([.sent], (.sent, .relaying), .relay(.success)),
      ([.awaitingBody, .awaitingCapacity, .unsendable], (.closed, .relaying), .relay(.success))),
    Row(
      .responseMalformed(.chunkMalformed(.bareCR)),
      fails([.sent, .awaitingBody, .awaitingCapacity, .unsendable], .chunkMalformed(.bareCR)),
      cuts([.relaying, .relayingEarly], .chunkMalformed(.bareCR))),
    Row(
      .upstreamEnded(bytesCame: false),
      fails([.sent, .awaitingCapacity, .unsendable], .closedWithoutResponse),
      fails([.awaitingBody], .closedDuringUpload), cuts([.relaying, .relayingEarly], .closedInBody)),
    Row(
      .upstreamEnded(bytesCame: true),
      fails([.sent, .awaitingCapacity, .unsendable], .closedWithoutResponse),
      fails([.awaitingBody], .closedDuringUpload), cuts([.relaying, .relayingEarly], .closedInBody)),
    Row(
      .clientBlocked, ([.relaying], (.sent, .blocked), .none), ([.relayingEarly], (.closed, .blocked), .none)),
    Row(
      .clientResumed, ([.blocked], (.sent, .relaying), .none), ([.blockedEarly], (.closed, .relaying), .none)),
    Row(
      .responseDelivered, ([.relaying], end, .finish(.complete(requestSent: true))),
      ([.relayingEarly], end, .finish(.complete(requestSent: false)))),
    Row(.replyDelivered, ([.replying], end, .finish(.complete(requestSent: false)))),
    Row(
      .clientLeft, (beforeReply + [.relayingEarly, .blockedEarly, .replying], end, .finish(.clientLeft(after: nil))),
      // A write that Core has whole is seen through.
      ([.sent], (.sent, .none), .none), ([.relaying], (.sent, .relaying), .none),
      ([.blocked], (.sent, .relaying), .readResponse)),
    Row(
      .deadlinePassed, fails([.awaitingToken], .introspectionTimedOut),
      fails([.gathering, .awaitingBody], .bodyTimedOut),
      fails([.awaitingIntent], .auditTimedOut), fails([.awaitingSlot], .queueTimedOut),
      fails([.connecting], .connect(.timedOut)), fails([.awaitingCapacity], .requestNotRead),
      fails([.sent, .unsendable], .responseTimedOut), cuts([.relaying, .relayingEarly], .responseStalled),
      cuts([.blocked, .blockedEarly, .replying], .clientReadsTooSlowly)),
    Row(
      .aborted,
      cuts(beforeReply + [.sent, .relaying, .relayingEarly, .blocked, .blockedEarly, .replying], .drainTimedOut)),
  ]

  @Test(arguments: rows)
  func `each event is legal in some phases, and traps in all others`(row: Row) {
    for phase in Phase.allCases {
      var machine = phase.machine
      let action = machine.on(row.event)
      guard let legal = row.legal.first(where: { $0.phases.contains(phase) }) else {
        #expect(action == .trap, "\(row.event) in \(phase)")
        continue
      }
      #expect(action == legal.action, "\(row.event) in \(phase)")
      #expect(machine.request == legal.next.0 && machine.response == legal.next.1, "\(row.event) in \(phase)")
    }
  }

  @Test func `the rows name every event`() {
    let named = Set(Self.rows.map { String("\($0.event)".prefix { $0 != "(" }) })
    let all: Set<String> = [
      "tokenAsked", "tokenSettled", "admitted", "refused", "bodyGathered", "intentDurable", "intentFailed", "queued",
      "queueFull", "connectBegan", "leased", "connectFailed", "connectionUnfit", "firstByteSent", "capacityExhausted",
      "bodyExhausted",
      "sendResumed", "requestSent", "sendFailed", "bodyRefused", "keyRefused", "responseBegan", "responseMalformed",
      "upstreamEnded", "clientBlocked", "clientResumed", "responseDelivered", "replyDelivered", "clientLeft",
      "deadlinePassed", "aborted",
    ]
    #expect(named == all)
  }

  /// Which phases wait, and for whom: each of them has a deadline.
  @Test func `every phase waits for one side, or for nobody`() {
    let waits: [Phase: Wait] = [
      .admitting: .nobody, .awaitingToken: .token, .gathering: .clientBody, .awaitingIntent: .intent,
      .awaitingSlot: .slot, .connecting: .connect, .sending: .nobody, .sendingBegun: .nobody,
      .awaitingCapacity: .upstreamCapacity, .awaitingBody: .clientBody, .sent: .responseHead,
      .unsendable: .responseHead, .relaying: .responseBody, .relayingEarly: .responseBody, .blocked: .clientCapacity,
      .blockedEarly: .clientCapacity, .replying: .clientCapacity, .finished: .nobody,
    ]
    for phase in Phase.allCases { #expect(phase.machine.wait == waits[phase], "\(phase)") }
  }
}
