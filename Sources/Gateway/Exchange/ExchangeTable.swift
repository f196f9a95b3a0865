import Upstream

/// The life of a request: each event, the phases in which it is legal, the next phase, and the action.
///
/// Most requests take this path: `admitting → [bufferingBody] → [awaitingKey] → [awaitingIntent] → connecting → sending →
/// sent`, then `[keeping → recording →] relaying → finished` for the response.
extension ExchangeMachine {
  @inline(__always)
  mutating func apply(_ event: Event) -> Action {
    switch (event, request, response) {
    // Admission
    case (.introspectionStarted, .admitting, .none): return enter(.awaitingIntrospection)
    case (.introspectionFinished, .awaitingIntrospection, .none): return enter(.admitting, .admit)
    case (.formBegan, .admitting, .none): return enter(.collectingForm)
    case (.formCollected, .collectingForm, .none): return enter(.admitting, .answerForm)
    case (.grantBegan, .admitting, .none): return enter(.awaitingGrant)
    case (.grantSettled, .awaitingGrant, .none): return enter(.admitting)
    case (.admitted(let plan), .admitting, .none): return admitted(plan)
    case (.answeredLocally, .admitting, .none): return answerLocally()
    // Admission is repeated before the intent, before acquiring a connection, and before the first byte.
    case (.answeredLocally, .awaitingKey, .none), (.answeredLocally, .awaitingIntent, .none),
      (.answeredLocally, .connecting, .none), (.answeredLocally, .sending, .none):
      return answerLocally()

    // Before the first byte
    case (.bodyBuffered, .bufferingBody, .none): return bodyBuffered()
    case (.introspectionStarted, .bufferingBody, .none): return enter(.repeatingIntrospection)
    case (.introspectionFinished, .repeatingIntrospection, .none): return bodyBuffered()
    case (.keyClaimed, .awaitingKey, .none) where !holdsKey: return keyClaimed()
    case (.keyDurable, .awaitingKey, .none): return keyDurable()
    case (.keyUnavailable, .awaitingKey, .none): return keyUnavailable()
    case (.intentDurable, .awaitingKey, .none) where holdsKey, (.intentDurable, .awaitingIntent, .none):
      return intentDurable()
    case (.intentFailed, .awaitingKey, .none) where holdsKey, (.intentFailed, .awaitingIntent, .none):
      return fail(.auditUnavailable)
    case (.queued, .connecting, .none): return enter(.queued)
    case (.queueFull, .connecting, .none), (.queueFull, .queued, .none): return fail(.queueFull)
    // During `replaceConnection` the connect begins while the phase is still `connecting`.
    case (.connectBegan, .queued, .none), (.connectBegan, .connecting, .none): return enter(.connecting)
    case (.leased(let pooled), .connecting, .none), (.leased(let pooled), .queued, .none):
      return leased(pooled: pooled)
    case (.connectFailed(let kind), .connecting, .none): return fail(.connect(kind))
    case (.connectionUnusable(let kind), .sending, .none): return connectionUnusable(kind)

    // Sending
    case (.firstByteSent, .sending, .none): return firstByteSent()
    case (.sendBlocked, .sending, .none): return enter(.sendBlocked)
    case (.bodyStalled, .sending, .none): return bodyStalled()
    case (.sendResumed, .sendBlocked, .none), (.sendResumed, .awaitingBody, .none): return enter(.sending, .send)
    case (.requestSent, .sending, .none): return enter(.sent)
    case (.sendFailed, .sending, .none): return enter(.sendFailed, .readResponse)
    case (.bodyRejected(let fault), .bufferingBody, .none), (.bodyRejected(let fault), .sending, .none),
      (.bodyRejected(let fault), .collectingForm, .none):
      return fail(fault)

    // The response, which may arrive before the request is complete
    case (.keyRefused(let hasAnother), .sent, .none), (.keyRefused(let hasAnother), .awaitingBody, .none),
      (.keyRefused(let hasAnother), .sendBlocked, .none), (.keyRefused(let hasAnother), .sendFailed, .none):
      return keyRefused(hasAnother: hasAnother)
    case (.responseBegan(let status), .sent, .none), (.responseBegan(let status), .awaitingBody, .none),
      (.responseBegan(let status), .sendBlocked, .none), (.responseBegan(let status), .sendFailed, .none):
      return responseBegan(status: status)
    case (.responseMalformed(let fault), .sent, .none), (.responseMalformed(let fault), .awaitingBody, .none),
      (.responseMalformed(let fault), .sendBlocked, .none), (.responseMalformed(let fault), .sendFailed, .none):
      return fail(fault)
    case (.upstreamClosed(let receivedBytes), .sent, .none), (.upstreamClosed(let receivedBytes), .awaitingBody, .none),
      (.upstreamClosed(let receivedBytes), .sendBlocked, .none),
      (.upstreamClosed(let receivedBytes), .sendFailed, .none):
      return upstreamClosed(receivedBytes: receivedBytes)
    // A keyed write: nothing of the response is on the wire.
    case (.responseKept, _, .keeping): return enter(.recording, .recordOutcome)
    case (.outcomeSettled, _, .recording), (.outcomeSettled, .closed, .releasing): return outcomeSettled()
    case (.responseMalformed(let fault), _, .keeping): return fail(fault)
    case (.upstreamClosed, _, .keeping): return fail(.closedBeforeEnd)
    // From here on a fault cuts the response: its head may be on the wire.
    case (.responseMalformed(let fault), _, .relaying): return cut(fault)
    case (.upstreamClosed, _, .relaying): return cut(.closedInBody)
    case (.downstreamBlocked, _, .relaying): return enter(.blocked)
    case (.downstreamResumed, _, .blocked): return enter(.relaying)
    case (.responseDelivered, .sent, .relaying): return finish(.complete(requestSent: true))
    case (.responseDelivered, .closed, .relaying): return finish(.complete(requestSent: false))

    // A local reply
    case (.replyDelivered, .closed, .replying): return finish(.complete(requestSent: false))

    // Downstream
    case (.downstreamClosed, _, .none), (.downstreamClosed, _, .keeping), (.downstreamClosed, _, .recording),
      (.downstreamClosed, _, .releasing), (.downstreamClosed, _, .relaying), (.downstreamClosed, _, .blocked),
      (.downstreamClosed, _, .replying):
      return downstreamClosed()

    // Deadlines: the fault is with the side that is waited for.
    case (.deadlinePassed, .awaitingIntrospection, .none), (.deadlinePassed, .repeatingIntrospection, .none):
      return fail(.introspectionTimedOut)
    case (.deadlinePassed, .bufferingBody, .none), (.deadlinePassed, .awaitingBody, .none),
      (.deadlinePassed, .collectingForm, .none):
      return fail(.bodyTimedOut)
    case (.deadlinePassed, .awaitingGrant, .none): return fail(.grantTimedOut)
    case (.deadlinePassed, .awaitingKey, .none): return keyTimedOut()
    case (.deadlinePassed, .awaitingIntent, .none): return fail(.auditTimedOut)
    case (.deadlinePassed, .queued, .none): return fail(.queueTimedOut)
    case (.deadlinePassed, .connecting, .none): return fail(.connect(.timedOut))
    case (.deadlinePassed, .sendBlocked, .none): return fail(.requestNotRead)
    case (.deadlinePassed, .sent, .none), (.deadlinePassed, .sendFailed, .none): return fail(.responseTimedOut)
    case (.deadlinePassed, _, .keeping): return fail(.responseTimedOut)
    // The client gets its reply without the journal.
    case (.deadlinePassed, _, .recording), (.deadlinePassed, .closed, .releasing): return outcomeSettled()
    case (.deadlinePassed, _, .relaying): return cut(.responseStalled)
    case (.deadlinePassed, _, .blocked), (.deadlinePassed, .closed, .replying): return cut(.downstreamStalled)

    // Shutdown, after the drain has timed out
    case (.aborted, _, .none), (.aborted, _, .keeping), (.aborted, _, .recording), (.aborted, _, .releasing),
      (.aborted, _, .relaying), (.aborted, _, .blocked), (.aborted, _, .replying):
      return cut(.drainTimedOut)

    default: return .illegalEvent
    }
  }
}
