import Upstream

/// The life of a request: every event, the phases that it may come in, the phase that follows, and what to do.
///
/// The way of most requests is down the middle: `admitting → [gathering] → [awaitingIntent] → connecting → sending →
/// sent`, then `relaying → finished` on the side of the response.
extension ExchangeMachine {
  mutating func on(_ event: Event) -> Action {
    switch (event, request, response) {
    // Admission
    case (.tokenAsked, .admitting, .none): return to(.awaitingToken)
    case (.tokenSettled, .awaitingToken, .none): return to(.admitting, .admit)
    case (.admitted(let plan), .admitting, .none): return begin(plan)
    case (.refused, .admitting, .none): return refuse()
    // Admission is repeated before the intent, before a connection is asked for, and before the first byte.
    case (.refused, .awaitingIntent, .none), (.refused, .connecting, .none), (.refused, .sending, .none):
      return refuse()

    // Before the first byte
    case (.bodyGathered, .gathering, .none): return bodyGathered()
    case (.intentDurable, .awaitingIntent, .none): return to(.connecting, .acquire(fresh: false))
    case (.intentFailed, .awaitingIntent, .none): return fail(.auditUnavailable)
    case (.queued, .connecting, .none): return to(.awaitingSlot)
    case (.queueFull, .connecting, .none), (.queueFull, .awaitingSlot, .none): return fail(.queueFull)
    // A connect from within `replaceConnection` begins for who is not queued any more.
    case (.connectBegan, .awaitingSlot, .none), (.connectBegan, .connecting, .none): return to(.connecting)
    case (.leased(let pooled), .connecting, .none), (.leased(let pooled), .awaitingSlot, .none):
      return leased(pooled: pooled)
    case (.connectFailed(let kind), .connecting, .none): return fail(.connect(kind))
    case (.connectionUnfit(let kind), .sending, .none): return replaceConnection(kind)

    // Sending
    case (.firstByteSent, .sending, .none): return beginTry()
    case (.capacityExhausted, .sending, .none): return to(.awaitingCapacity)
    case (.bodyExhausted, .sending, .none): return stall()
    case (.sendResumed, .awaitingCapacity, .none), (.sendResumed, .awaitingBody, .none): return to(.sending, .send)
    case (.requestSent, .sending, .none): return to(.sent)
    case (.sendFailed, .sending, .none): return to(.unsendable, .readResponse)
    case (.bodyRefused(let fault), .gathering, .none), (.bodyRefused(let fault), .sending, .none): return fail(fault)

    // The response, which may come before the request is whole
    case (.keyRefused(let hasAnother), .sent, .none), (.keyRefused(let hasAnother), .awaitingBody, .none),
      (.keyRefused(let hasAnother), .awaitingCapacity, .none), (.keyRefused(let hasAnother), .unsendable, .none):
      return refuseKey(hasAnother: hasAnother)
    case (.responseBegan(let status), .sent, .none), (.responseBegan(let status), .awaitingBody, .none),
      (.responseBegan(let status), .awaitingCapacity, .none), (.responseBegan(let status), .unsendable, .none):
      return relay(status: status)
    case (.responseMalformed(let fault), .sent, .none), (.responseMalformed(let fault), .awaitingBody, .none),
      (.responseMalformed(let fault), .awaitingCapacity, .none), (.responseMalformed(let fault), .unsendable, .none):
      return fail(fault)
    case (.upstreamEnded(let bytesCame), .sent, .none), (.upstreamEnded(let bytesCame), .awaitingBody, .none),
      (.upstreamEnded(let bytesCame), .awaitingCapacity, .none),
      (.upstreamEnded(let bytesCame), .unsendable, .none):
      return lose(bytesCame: bytesCame)
    // From here on a fault cuts the response: its head may be on the wire.
    case (.responseMalformed(let fault), _, .relaying): return cut(fault)
    case (.upstreamEnded, _, .relaying): return cut(.closedInBody)
    case (.clientBlocked, _, .relaying): return to(.blocked)
    case (.clientResumed, _, .blocked): return to(.relaying)
    case (.responseDelivered, .sent, .relaying): return finish(.complete(requestSent: true))
    case (.responseDelivered, .closed, .relaying): return finish(.complete(requestSent: false))

    // The gateway's own reply
    case (.replyDelivered, .closed, .replying): return finish(.complete(requestSent: false))

    // The client
    case (.clientLeft, _, .none), (.clientLeft, _, .relaying), (.clientLeft, _, .blocked), (.clientLeft, _, .replying):
      return leave()

    // Deadlines: whoever owes something is to blame.
    case (.deadlinePassed, .awaitingToken, .none): return fail(.introspectionTimedOut)
    case (.deadlinePassed, .gathering, .none), (.deadlinePassed, .awaitingBody, .none): return fail(.bodyTimedOut)
    case (.deadlinePassed, .awaitingIntent, .none): return fail(.auditTimedOut)
    case (.deadlinePassed, .awaitingSlot, .none): return fail(.queueTimedOut)
    case (.deadlinePassed, .connecting, .none): return fail(.connect(.timedOut))
    case (.deadlinePassed, .awaitingCapacity, .none): return fail(.requestNotRead)
    case (.deadlinePassed, .sent, .none), (.deadlinePassed, .unsendable, .none): return fail(.responseTimedOut)
    case (.deadlinePassed, _, .relaying): return cut(.responseStalled)
    case (.deadlinePassed, _, .blocked), (.deadlinePassed, .closed, .replying):
      return cut(.clientReadsTooSlowly)

    // The gateway stops, and waits no longer.
    case (.aborted, _, .none), (.aborted, _, .relaying), (.aborted, _, .blocked), (.aborted, _, .replying):
      return cut(.drainTimedOut)

    default: return .trap
    }
  }
}
