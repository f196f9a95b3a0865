import HTTP1
import Policies
import Testing
import Upstream

@testable import Gateway

/// The exchange's state transition table, pair by pair: each event in each phase, legal or not.
@Suite struct ExchangeTableTests {
  typealias Machine = ExchangeMachine

  /// A phase that an exchange can be in, and the events that lead there.
  enum Phase: String, CaseIterable {
    case admitting, awaitingIntrospection, bufferingBody, repeatingIntrospection, awaitingIntent, queued, connecting
    case sending, sendingBegun, sendBlocked, awaitingBody, sent, sendFailed
    case relaying, relayingEarly, blocked, blockedEarly
    case replying, finished

    fileprivate var way: [Machine.Event] {
      switch self {
      case .admitting: []
      case .awaitingIntrospection: [.introspectionStarted]
      case .bufferingBody: [.admitted(plan)]
      case .repeatingIntrospection: Phase.bufferingBody.way + [.introspectionStarted]
      case .awaitingIntent: Phase.bufferingBody.way + [.bodyBuffered]
      case .connecting: Phase.awaitingIntent.way + [.intentDurable]
      case .queued: Phase.connecting.way + [.queued]
      case .sending: Phase.connecting.way + [.leased(pooled: true)]
      case .sendingBegun: Phase.sending.way + [.firstByteSent]
      case .sendBlocked: Phase.sendingBegun.way + [.sendBlocked]
      case .awaitingBody: Phase.sendingBegun.way + [.bodyStalled]
      case .sent: Phase.sendingBegun.way + [.requestSent]
      case .sendFailed: Phase.sendingBegun.way + [.sendFailed]
      case .relaying: Phase.sent.way + [.responseBegan(status: 200)]
      case .relayingEarly: Phase.awaitingBody.way + [.responseBegan(status: 413)]
      case .blocked: Phase.relaying.way + [.downstreamBlocked]
      case .blockedEarly: Phase.relayingEarly.way + [.downstreamBlocked]
      case .replying: [.answeredLocally]
      case .finished: [.answeredLocally, .replyDelivered]
      }
    }

    /// A write with a body, which is audited.
    private var plan: Machine.Plan { Machine.Plan(isWrite: true, isAudited: true, hasBody: true) }

    fileprivate var machine: Machine {
      var machine = Machine()
      for event in way { #expect(machine.apply(event) != .illegalEvent, "\(event) on the way to \(self)") }
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
    .admitting, .awaitingIntrospection, .bufferingBody, .repeatingIntrospection, .awaitingIntent, .queued, .connecting,
    .sending, .sendingBegun,
    .sendBlocked, .awaitingBody, .sendFailed,
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
    Row(
      .introspectionStarted, ([.admitting], (.awaitingIntrospection, .none), .none),
      ([.bufferingBody], (.repeatingIntrospection, .none), .none)),
    Row(
      .introspectionFinished, ([.awaitingIntrospection], (.admitting, .none), .admit),
      ([.repeatingIntrospection], (.awaitingIntent, .none), .declareIntent)),
    Row(
      .admitted(Machine.Plan(isWrite: true, isAudited: true, hasBody: true)),
      ([.admitting], (.bufferingBody, .none), .bufferBody)),
    Row(.answeredLocally, ([.admitting, .awaitingIntent, .connecting, .sending], reply, .answerLocally)),
    Row(.bodyBuffered, ([.bufferingBody], (.awaitingIntent, .none), .declareIntent)),
    Row(.intentDurable, ([.awaitingIntent], (.connecting, .none), .acquire(fresh: false))),
    Row(.intentFailed, fails([.awaitingIntent], .auditUnavailable)),
    Row(.queued, ([.connecting], (.queued, .none), .none)),
    Row(.queueFull, fails([.connecting, .queued], .queueFull)),
    Row(.leased(pooled: true), ([.connecting, .queued], (.sending, .none), .send)),
    Row(.connectBegan, ([.connecting, .queued], (.connecting, .none), .none)),
    Row(.connectFailed(.unresolved), fails([.connecting], .connect(.unresolved))),
    Row(.connectionUnusable(.spokeFirst), ([.sending], (.connecting, .none), .replaceConnection)),
    Row(.firstByteSent, ([.sending], (.sending, .none), .none)),
    Row(.sendBlocked, ([.sending, .sendingBegun], (.sendBlocked, .none), .none)),
    Row(.bodyStalled, ([.sending, .sendingBegun], (.awaitingBody, .none), .none)),
    Row(.sendResumed, ([.sendBlocked, .awaitingBody], (.sending, .none), .send)),
    Row(.requestSent, ([.sending, .sendingBegun], (.sent, .none), .none)),
    Row(.sendFailed, ([.sending, .sendingBegun], (.sendFailed, .none), .readResponse)),
    Row(.bodyRejected(.bodyTooLarge), fails([.bufferingBody, .sending, .sendingBegun], .bodyTooLarge)),
    Row(
      .keyRefused(hasAnother: true), fails([.sent, .awaitingBody, .sendBlocked, .sendFailed], .keyRefused)),
    Row(
      .responseBegan(status: 200), ([.sent], (.sent, .relaying), .relay(.success)),
      ([.awaitingBody, .sendBlocked, .sendFailed], (.closed, .relaying), .relay(.success))),
    Row(
      .responseMalformed(.chunkMalformed(.bareCR)),
      fails([.sent, .awaitingBody, .sendBlocked, .sendFailed], .chunkMalformed(.bareCR)),
      cuts([.relaying, .relayingEarly], .chunkMalformed(.bareCR))),
    Row(
      .upstreamClosed(receivedBytes: false),
      fails([.sent, .sendBlocked, .sendFailed], .closedWithoutResponse),
      fails([.awaitingBody], .closedDuringUpload), cuts([.relaying, .relayingEarly], .closedInBody)),
    Row(
      .upstreamClosed(receivedBytes: true),
      fails([.sent, .sendBlocked, .sendFailed], .closedWithoutResponse),
      fails([.awaitingBody], .closedDuringUpload), cuts([.relaying, .relayingEarly], .closedInBody)),
    Row(
      .downstreamBlocked, ([.relaying], (.sent, .blocked), .none), ([.relayingEarly], (.closed, .blocked), .none)),
    Row(
      .downstreamResumed, ([.blocked], (.sent, .relaying), .none), ([.blockedEarly], (.closed, .relaying), .none)),
    Row(
      .responseDelivered, ([.relaying], end, .finish(.complete(requestSent: true))),
      ([.relayingEarly], end, .finish(.complete(requestSent: false)))),
    Row(.replyDelivered, ([.replying], end, .finish(.complete(requestSent: false)))),
    Row(
      .downstreamClosed,
      (beforeReply + [.relayingEarly, .blockedEarly, .replying], end, .finish(.downstreamClosed(after: nil))),
      // A write that Core has received completely is completed.
      ([.sent], (.sent, .none), .none), ([.relaying], (.sent, .relaying), .none),
      ([.blocked], (.sent, .relaying), .readResponse)),
    Row(
      .deadlinePassed, fails([.awaitingIntrospection, .repeatingIntrospection], .introspectionTimedOut),
      fails([.bufferingBody, .awaitingBody], .bodyTimedOut),
      fails([.awaitingIntent], .auditTimedOut), fails([.queued], .queueTimedOut),
      fails([.connecting], .connect(.timedOut)), fails([.sendBlocked], .requestNotRead),
      fails([.sent, .sendFailed], .responseTimedOut), cuts([.relaying, .relayingEarly], .responseStalled),
      cuts([.blocked, .blockedEarly, .replying], .downstreamStalled)),
    Row(
      .aborted,
      cuts(beforeReply + [.sent, .relaying, .relayingEarly, .blocked, .blockedEarly, .replying], .drainTimedOut)),
  ]

  @Test(arguments: rows)
  func `each event is legal in some phases, and traps in all others`(row: Row) {
    for phase in Phase.allCases {
      var machine = phase.machine
      let action = machine.apply(row.event)
      guard let legal = row.legal.first(where: { $0.phases.contains(phase) }) else {
        #expect(action == .illegalEvent, "\(row.event) in \(phase)")
        continue
      }
      #expect(action == legal.action, "\(row.event) in \(phase)")
      #expect(machine.request == legal.next.0 && machine.response == legal.next.1, "\(row.event) in \(phase)")
    }
  }

  @Test func `the rows name every event`() {
    let named = Set(Self.rows.map { String("\($0.event)".prefix { $0 != "(" }) })
    let all: Set<String> = [
      "introspectionStarted", "introspectionFinished", "admitted", "answeredLocally", "bodyBuffered", "intentDurable",
      "intentFailed", "queued",
      "queueFull", "connectBegan", "leased", "connectFailed", "connectionUnusable", "firstByteSent", "sendBlocked",
      "bodyStalled",
      "sendResumed", "requestSent", "sendFailed", "bodyRejected", "keyRefused", "responseBegan", "responseMalformed",
      "upstreamClosed", "downstreamBlocked", "downstreamResumed", "responseDelivered", "replyDelivered",
      "downstreamClosed",
      "deadlinePassed", "aborted",
    ]
    #expect(named == all)
  }

  /// Which phases wait for which side: each of them has a deadline.
  @Test func `every phase waits for one side at most`() {
    let waits: [Phase: Wait] = [
      .admitting: .nothing, .awaitingIntrospection: .introspection, .bufferingBody: .requestBody,
      .repeatingIntrospection: .introspection, .awaitingIntent: .intent,
      .queued: .queue, .connecting: .connect, .sending: .nothing, .sendingBegun: .nothing,
      .sendBlocked: .upstreamWritable, .awaitingBody: .requestBody, .sent: .responseHead,
      .sendFailed: .responseHead, .relaying: .responseBody, .relayingEarly: .responseBody,
      .blocked: .downstreamWritable,
      .blockedEarly: .downstreamWritable, .replying: .downstreamWritable, .finished: .nothing,
    ]
    for phase in Phase.allCases { #expect(phase.machine.wait == waits[phase], "\(phase)") }
  }
}
