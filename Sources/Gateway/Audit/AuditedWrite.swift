import Audit
import HTTP1
import Policies
import System
import Telemetry

/// The audit state of one write. Its port keeps it for later writes.
final class AuditedWrite {
  private enum Phase {
    /// No intent was passed on.
    case undeclared
    case waiting(Ticket)
    /// The log may have the intent, so it gets the outcome.
    case declared
  }

  private let ownHasher = BodyHasher()
  private(set) var hasher: BodyHasher
  // The port owns the writes that it keeps.
  private unowned let port: AuditPort
  private var phase = Phase.undeclared
  /// Whether the outcome carries the hash of the body, because the intent does not.
  private var streams = false
  private var subject = Subject.other
  /// Of the response, from its first byte on.
  private var scan: ResponseScan?

  /// What a write is about, by its path at Core.
  private enum Subject {
    /// `/transactions` itself: then Core's response has a status.
    case transaction
    case bulk
    /// Another path of transactions.
    case change
    case other

    @_optimize(speed)
    init(_ path: Span<UInt8>) {
      guard path.hasPrefix("/transactions") else {
        self = path.hasPrefix("/refund-transaction/") ? .change : .other
        return
      }
      guard path.count > 13 else {
        self = .transaction
        return
      }
      let isBulk = path.count == 18 && path.hasPrefix("/transactions/bulk")
      self = isBulk ? .bulk : path[13] == UInt8(ascii: "/") ? .change : .other
    }

    var mayBeQueued: Bool { self != .other }
  }

  init(_ port: AuditPort) {
    self.port = port
    hasher = ownHasher
  }

  /// - Parameters:
  ///   - hasher: of the write's journal entry; nil: it has none.
  ///   - path: as Core gets it.
  @_optimize(speed)
  func begin(_ hasher: BodyHasher?, _ framing: BodyFraming, _ path: Span<UInt8>) {
    self.hasher = hasher ?? ownHasher
    if hasher == nil { ownHasher.begin(framing) }
    subject = Subject(path)
    streams = false
  }

  /// Completes the intent and passes it on; false if the log does not accept it.
  @_optimize(speed)
  func declare(_ intent: AuditIntent, isWhole: Bool, for exchange: Exchange) -> Bool {
    streams = !isWhole || hasher.streams
    if !streams {
      let members = port.takeMembers()
      read(into: members)
      hasher.forgetBytes()
      name(members, in: intent)
      port.keep(members)
    }
    intent.append(streams ? nil : hasher.body(isWhole: true))
    guard let ticket = port.declare(intent, for: exchange) else { return false }
    phase = .waiting(ticket)
    return true
  }

  /// A function, so that the bytes have one owner again when they are forgotten.
  private func read(into members: JSONMembers) {
    let bytes = hasher.bytes
    members.readWhole(bytes.span)
  }

  func settled() { phase = .declared }

  /// Names what the body is about, as far as the log shows it.
  @_optimize(speed)
  private func name(_ members: JSONMembers, in intent: AuditIntent) {
    var named = intent.named
    named.append(.identityID, of: members)
    named.append(.ledgerID, of: members)
    switch subject {
    case .transaction:
      named.append(.reference, of: members)
      named.append(.source, of: members)
      named.append(.destination, of: members)
      named.append(.amount, of: members)
      named.append(.preciseAmount, of: members)
      named.append(.currency, of: members)
    case .change:
      named.append(.status, of: members)
      named.append(.amount, of: members)
      named.append(.preciseAmount, of: members)
    case .bulk, .other: break
    }
    named.end()
    guard members.hasLists else { return }
    switch subject {
    case .transaction:
      list(.sources, of: members, in: intent)
      list(.destinations, of: members, in: intent)
    case .bulk: list(.transactions, of: members, in: intent)
    case .change, .other: break
    }
  }

  private func list(_ name: JSONMembers.Name, of members: JSONMembers, in intent: AuditIntent) {
    let list = members.list(name)
    guard list.count > 0 else { return }
    let elements = list.elements.map { $0.map { (key: $0.name.text, value: $0.text) } }
    intent.append(list: name.text, elements, more: list.count - elements.count)
  }

  var hasReadNothing: Bool { scan == nil }

  /// Reads a part of a 2xx response.
  ///
  /// - Parameter headCount: the bytes before the body, in the first part.
  func read(_ received: Span<UInt8>, _ framing: BodyFraming, headCount: Int) {
    let offset = scan == nil ? headCount : 0
    if scan == nil { scan = ResponseScan(framing, members: port.takeMembers()) }
    scan?.read(received, from: offset)
  }

  /// What Core's response with a 2xx status says.
  @_optimize(speed)
  private func kind(ofSuccess status: Int) -> AuditOutcome.Kind {
    // RFC 9110 §15.3.3: accepted, and not completed.
    guard status != 202 else { return .accepted }
    guard subject.mayBeQueued else { return .done }
    return switch scan?.result ?? .unclear {
    case .executed: .done
    case .queued: .accepted
    case .unclear: subject == .transaction ? .accepted : .done
    }
  }

  /// Records the outcome of the intent, when the exchange ends: the last call.
  @_optimize(speed)
  func record(_ id: RequestID, _ kind: AuditOutcome.Kind, status: Int, code: String?, bodyIsWhole: Bool) {
    switch phase {
    case .undeclared: break
    case .waiting(let ticket):
      port.withdraw(ticket)
      recordOutcome(id, kind, status: status, code: code, bodyIsWhole: bodyIsWhole)
    case .declared: recordOutcome(id, kind, status: status, code: code, bodyIsWhole: bodyIsWhole)
    }
    phase = .undeclared
    if let scan { port.keep(scan.members) }
    scan = nil
    hasher = ownHasher
    port.keep(self)
  }

  /// Its own function, so that the scanner's texts have one owner again when it is kept.
  @inline(never)
  @_optimize(speed)
  private func recordOutcome(
    _ id: RequestID, _ kind: AuditOutcome.Kind, status: Int, code: String?, bodyIsWhole: Bool
  ) {
    let kind = kind == .done ? self.kind(ofSuccess: status) : kind
    var outcome = AuditOutcome(
      requestIDHigh: id.high, requestIDLow: id.low, kind: kind, status: status, code: code,
      body: streams ? hasher.body(isWhole: bodyIsWhole) : nil)
    if kind == .done || kind == .accepted, let members = scan?.members {
      outcome.texts = members.texts
      outcome.balanceID = members.range(of: .balanceID) ?? 0..<0
      outcome.identityID = members.range(of: .identityID) ?? 0..<0
      outcome.ledgerID = members.range(of: .ledgerID) ?? 0..<0
      outcome.transactionID = members.range(of: .transactionID) ?? 0..<0
    }
    port.record(outcome)
  }
}

extension AuditOutcome.Kind {
  /// - Parameters:
  ///   - responded: the status of Core's response; nil: there was none. `done` may still be `accepted`.
  ///   - outcome: used if there was no response.
  init(responded: Int?, _ outcome: Outcome) {
    switch (responded, outcome) {
    case (let status?, _) where status < 300: self = .done
    // A redirect counts as refused: Core has executed nothing.
    case (let status?, _) where status < 500: self = .refused
    case (_?, _), (nil, .unknown): self = .unknown
    case (nil, .notSent): self = .notSent
    }
  }
}

extension AuditMembers {
  /// Appends a member as Core reads it, if there is one.
  @_optimize(speed)
  fileprivate mutating func append(_ name: JSONMembers.Name, of members: JSONMembers) {
    guard let range = members.range(of: name) else { return }
    let texts = members.texts
    append(name.text, texts.span.extracting(range))
  }
}
