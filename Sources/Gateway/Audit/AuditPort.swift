import Telemetry

/// A loop's port to the audit thread: the exchanges that wait for their intents, by tickets that come back.
final class AuditPort {
  /// An intent that was handed over; a stale one names nobody.
  struct Ticket: Equatable {
    fileprivate let place: UInt32
    fileprivate let life: UInt32
    fileprivate var number: UInt64 { UInt64(life) << 32 | UInt64(place) }
  }

  private struct Place {
    var exchange: Exchange?
    var life: UInt32 = 0
  }

  private let channel: AuditChannel
  private var places: [Place] = []
  private var free: [UInt32] = []
  private var members: [UInt8] = []

  init(_ channel: AuditChannel) { self.channel = channel }

  var canWrite: Bool { channel.canWrite }

  /// Hands over an intent; `exchange` is told when it is settled. nil: it was not taken, and nothing will be told.
  func declare(
    _ intent: AuditIntent, _ texts: RequestTexts, in head: Span<UInt8>, for exchange: Exchange
  ) -> Ticket? {
    let place = free.popLast() ?? newPlace()
    let ticket = Ticket(place: place, life: places[Int(place)].life)
    members.removeAll(keepingCapacity: true)
    intent.append(texts, in: head, to: &members)
    places[Int(place)].exchange = exchange
    guard channel.declare(members, ticket: ticket.number) else {
      leave(ticket)
      return nil
    }
    return ticket
  }

  /// The exchange waits no longer.
  func leave(_ ticket: Ticket) {
    let place = Int(ticket.place)
    guard places[place].life == ticket.life else { return }
    places[place].exchange = nil
    places[place].life &+= 1
    free.append(ticket.place)
  }

  func record(_ outcome: AuditOutcome) {
    members.removeAll(keepingCapacity: true)
    outcome.append(to: &members)
    channel.record(members)
  }

  /// Tells the exchanges whose intents are settled; for each time that the loop is woken.
  func settle() {
    for settlement in channel.takeSettled() {
      let ticket = Ticket(
        place: UInt32(truncatingIfNeeded: settlement.ticket), life: UInt32(truncatingIfNeeded: settlement.ticket >> 32))
      guard places[Int(ticket.place)].life == ticket.life, let exchange = places[Int(ticket.place)].exchange else {
        continue
      }
      leave(ticket)
      exchange.intentSettled(isDurable: settlement.isDurable)
    }
  }

  private func newPlace() -> UInt32 {
    places.append(Place())
    return UInt32(places.count - 1)
  }
}
