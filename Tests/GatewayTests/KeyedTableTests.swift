import HTTP1
import Policies
import Testing
import Upstream

@testable import Gateway

/// The part of the state transition table that only writes with an idempotency key reach.
@Suite struct KeyedTableTests {
  typealias Machine = ExchangeMachine
  typealias Next = (Machine.RequestPhase, Machine.ResponsePhase, Machine.Action)

  /// A phase, and the events that lead there.
  enum Phase: String, CaseIterable {
    /// The journal looks the key up.
    case asking
    /// The key is claimed, the claim not yet durable.
    case claiming
    /// As `claiming`, and the audit log has the intent.
    case claimingAudited
    case awaitingIntent, connecting, sending, sendingBegun, sent
    case keeping, keepingEarly, recording, releasing

    fileprivate var way: [Machine.Event] {
      switch self {
      case .asking: [.admitted(Machine.Plan(isWrite: true, isAudited: true, isKeyed: true))]
      case .claiming: Phase.asking.way + [.keyClaimed]
      case .claimingAudited: Phase.claiming.way + [.intentDurable]
      case .awaitingIntent: Phase.claiming.way + [.keyDurable]
      case .connecting: Phase.claimingAudited.way + [.keyDurable]
      case .sending: Phase.connecting.way + [.leased(pooled: true)]
      case .sendingBegun: Phase.sending.way + [.firstByteSent]
      case .sent: Phase.sendingBegun.way + [.requestSent]
      case .keeping: Phase.sent.way + [.responseBegan(status: 201)]
      case .keepingEarly: Phase.sendingBegun.way + [.bodyStalled, .responseBegan(status: 413)]
      case .recording: Phase.keeping.way + [.responseKept]
      case .releasing: Phase.connecting.way + [.connectFailed(.refused)]
      }
    }

    fileprivate var machine: Machine {
      var machine = Machine()
      for event in way { #expect(machine.apply(event) != .illegalEvent, "\(event) on the way to \(self)") }
      return machine
    }
  }

  private static func fails(_ fault: Fault) -> Next { (.closed, .replying, .reply(fault)) }
  private static func releases(_ fault: Fault) -> Next { (.closed, .releasing, .reply(fault)) }
  private static let leaves: Next = (.closed, .finished, .finish(.downstreamClosed(after: nil)))
  private static let cut: Next = (.closed, .finished, .finish(.cut(.drainTimedOut)))

  static let rows: [(event: Machine.Event, legal: [Phase: Next])] = [
    (.keyClaimed, [.asking: (.awaitingKey, .none, .declareIntent)]),
    (
      .keyDurable,
      [.claiming: (.awaitingIntent, .none, .none), .claimingAudited: (.connecting, .none, .acquire(fresh: false))]
    ),
    (
      .keyUnavailable,
      [
        .asking: fails(.journalUnavailable), .claiming: fails(.journalUnavailable),
        .claimingAudited: fails(.journalUnavailable),
      ]
    ),
    (
      .intentDurable,
      [
        .claiming: (.awaitingKey, .none, .none),
        .claimingAudited: (.awaitingKey, .none, .none), .awaitingIntent: (.connecting, .none, .acquire(fresh: false)),
      ]
    ),
    (
      .intentFailed,
      [
        .claiming: releases(.auditUnavailable),
        .claimingAudited: releases(.auditUnavailable), .awaitingIntent: releases(.auditUnavailable),
      ]
    ),
    (
      .answeredLocally,
      [
        .asking: (.closed, .replying, .answerLocally), .claiming: (.closed, .releasing, .answerLocally),
        .claimingAudited: (.closed, .releasing, .answerLocally),
        .awaitingIntent: (.closed, .releasing, .answerLocally), .connecting: (.closed, .releasing, .answerLocally),
        .sending: (.closed, .releasing, .answerLocally),
      ]
    ),
    (.connectFailed(.refused), [.connecting: releases(.connect(.refused))]),
    (.queueFull, [.connecting: releases(.queueFull)]),
    (
      .keyRefused(hasAnother: true),
      // Core checks its key before it does anything.
      [.sent: releases(.keyRefused)]
    ),
    (.responseBegan(status: 503), [.sent: (.sent, .keeping, .keep(.failure))]),
    (.responseBegan(status: 201), [.sent: (.sent, .keeping, .keep(.success))]),
    (
      .responseKept,
      [.keeping: (.sent, .recording, .recordOutcome), .keepingEarly: (.closed, .recording, .recordOutcome)]
    ),
    (
      .outcomeSettled,
      [.recording: (.sent, .relaying, .relayKept), .releasing: (.closed, .replying, .deliver)]
    ),
    (
      .responseMalformed(.chunkMalformed(.bareCR)),
      [
        .sent: fails(.chunkMalformed(.bareCR)), .keeping: fails(.chunkMalformed(.bareCR)),
        .keepingEarly: fails(.chunkMalformed(.bareCR)),
      ]
    ),
    (
      .upstreamClosed(receivedBytes: true),
      [
        .sent: fails(.closedWithoutResponse), .keeping: fails(.closedBeforeEnd),
        .keepingEarly: fails(.closedBeforeEnd),
      ]
    ),
    (
      .deadlinePassed,
      [
        .asking: fails(.journalTimedOut), .claiming: fails(.journalTimedOut),
        .claimingAudited: fails(.journalTimedOut), .awaitingIntent: releases(.auditTimedOut),
        .connecting: releases(.connect(.timedOut)), .sent: fails(.responseTimedOut),
        .keeping: fails(.responseTimedOut), .keepingEarly: fails(.responseTimedOut),
        .recording: (.sent, .relaying, .relayKept), .releasing: (.closed, .replying, .deliver),
      ]
    ),
    (
      .downstreamClosed,
      [
        .asking: leaves, .claiming: leaves, .claimingAudited: leaves, .awaitingIntent: leaves, .connecting: leaves,
        .sending: leaves, .sendingBegun: leaves, .keepingEarly: leaves, .releasing: leaves,
        .sent: (.sent, .none, .none), .keeping: (.sent, .keeping, .none), .recording: (.sent, .recording, .none),
      ]
    ),
    (
      .aborted,
      Dictionary(uniqueKeysWithValues: Phase.allCases.map { ($0, cut) })
    ),
    (.responseDelivered, [:]), (.replyDelivered, [:]), (.downstreamBlocked, [:]), (.bodyBuffered, [:]),
  ]

  @Test func `each event is legal in some phases, and traps in all others`() {
    for (event, legal) in Self.rows {
      for phase in Phase.allCases {
        var machine = phase.machine
        let action = machine.apply(event)
        guard let next = legal[phase] else {
          #expect(action == .illegalEvent, "\(event) in \(phase)")
          continue
        }
        #expect(action == next.2, "\(event) in \(phase)")
        #expect(machine.request == next.0 && machine.response == next.1, "\(event) in \(phase)")
      }
    }
  }

  @Test func `the key is held until the journal has settled it`() {
    let holding: Set<Phase> = [
      .claiming, .claimingAudited, .awaitingIntent, .connecting, .sending, .sendingBegun, .sent, .keeping,
      .keepingEarly, .recording, .releasing,
    ]
    for phase in Phase.allCases { #expect(phase.machine.holdsKey == holding.contains(phase), "\(phase)") }
    for phase in [Phase.recording, .releasing] {
      for event in [Machine.Event.outcomeSettled, .deadlinePassed] {
        var machine = phase.machine
        _ = machine.apply(event)
        #expect(!machine.holdsKey, "\(event) in \(phase)")
      }
    }
  }

  @Test func `a key is freed only if Core cannot have executed the request`() {
    for phase in Phase.allCases {
      for (event, _) in Self.rows {
        var machine = phase.machine
        _ = machine.apply(event)
        if machine.response == .releasing { #expect(machine.outcome == .notSent, "\(event) in \(phase)") }
      }
    }
  }

  @Test func `an unkeyed write takes the same path as before`() {
    var machine = Machine()
    #expect(machine.apply(.admitted(Machine.Plan(isWrite: true))) == .acquire(fresh: false))
    for event in [.leased(pooled: true), .firstByteSent, .requestSent] as [Machine.Event] { _ = machine.apply(event) }
    #expect(machine.apply(.responseBegan(status: 201)) == .relay(.success) && !machine.holdsKey)
  }

  @Test func `each phase waits for one side`() {
    let waits: [Phase: Wait] = [
      .asking: .key, .claiming: .key, .claimingAudited: .key, .awaitingIntent: .intent, .connecting: .connect,
      .sending: .nothing, .sendingBegun: .nothing, .sent: .responseHead, .keeping: .responseBody,
      .keepingEarly: .responseBody, .recording: .key, .releasing: .key,
    ]
    for phase in Phase.allCases { #expect(phase.machine.wait == waits[phase], "\(phase)") }
  }
}
