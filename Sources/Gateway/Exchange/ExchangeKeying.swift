import Audit
import Bytes
import Digests
import HTTP1
import Journal
import Policies
import Reactor
import Telemetry
import Upstream

/// Writes with an idempotency key: the journal has the claim before the first byte is sent, and the response before the
/// client gets it.
///
/// None of it is inlined, so that other requests do not pay for it.
extension Exchange {
  /// The actions that only these writes have.
  @inline(never)
  func performKeyed(_ action: ExchangeMachine.Action, _ connection: DownstreamConnection) {
    switch action {
    case .claimKey: claimKey(connection)
    case .keep(let verdict): keep(verdict)
    case .recordOutcome: recordOutcome(connection)
    case .relayKept: relayKept(connection)
    case .deliver: schedule(.deliver)
    case .none, .admit, .answerForm, .bufferBody, .declareIntent, .acquire, .replaceConnection, .send, .readResponse,
      .relay, .answerLocally, .reply, .finish, .illegalEvent:
      preconditionFailure("not an action of keyed writes")
    }
  }

  // MARK: Before the first byte

  /// Claims the key, once the body is complete.
  @_optimize(speed)
  private func claimKey(_ connection: DownstreamConnection) {
    guard readmitIfNeeded(connection) else { return }
    guard let keyed = state.keyed, let write = keyedWrite(keyed.key, keyed.hasher, connection) else {
      return handle(.keyUnavailable, connection)
    }
    switch keyed.claim(write, for: self) {
    case .claimed:
      prepareToAsk(write, keyed, connection)
      keyed.isSingleTransaction = isSingleTransaction(keyed.hasher.bytes, connection)
      handle(.keyClaimed, connection)
      // The intent may have been refused.
      if state.machine.request == .awaitingKey { suspend() }
    case .reading: suspend()
    case .inProgress: reject(LocalReply(Rejection.idempotencyInProgress), connection)
    case .reused: reject(LocalReply(Rejection.idempotencyKeyReused), connection)
    case .unavailable(let fullness):
      record.fault = fullness.text
      guard fullness == .cannotRead else { return handle(.keyUnavailable, connection) }
      reject(.keyUnreadable, connection)
    }
  }

  /// The write as the journal knows it: its names, and the fingerprint of method, target and body.
  @_optimize(speed)
  private func keyedWrite(_ key: String, _ hasher: BodyHasher, _ connection: DownstreamConnection) -> KeyedWrite? {
    guard let input = connection.input, let admission = state.admission, let snapshot = state.snapshot else {
      return nil
    }
    // Hashed as a whole: five short updates of a stream take 2,000 instructions more.
    var request: [UInt8] = []
    input.buffer.withBytes { bytes in
      let (method, target) = (
        bytes.extracting(input.parser.head.methodRange), bytes.extracting(input.parser.head.target)
      )
      request.reserveCapacity(method.count + target.count + 34)
      request.append(copying: method)
      request.append(UInt8(ascii: " "))
      request.append(copying: target)
      request.append(UInt8(ascii: " "))
    }
    let body = hasher.body(isWhole: true).digest.bytes
    request.append(copying: body.span)
    return KeyedWrite(
      client: String(decoding: snapshot.policy.clients.id(of: Int(admission.clientIndex)), as: UTF8.self),
      instance: snapshot.policy.instances[Int(admission.instanceIndex)].id.text, key: key,
      fingerprint: SHA256.digest(of: request.span),
      requestIDHigh: state.id.high, requestIDLow: state.id.low)
  }

  /// The journal has answered a ticket. Ignored if the exchange no longer waits for it.
  @inline(never)
  func journalSettled(_ result: JournalResult) {
    guard let connection, let keyed = state.keyed else { return }
    switch (state.machine.request, state.machine.response) {
    case (.awaitingKey, .none): keySettled(result, keyed, connection)
    case (_, .recording), (_, .releasing): handle(.outcomeSettled, connection)
    default: break
    }
  }

  private func keySettled(_ result: JournalResult, _ keyed: KeyedRequest, _ connection: DownstreamConnection) {
    if case .durable = result {
      keyed.claimSettled(isClaimed: true)
      handle(.keyDurable, connection)
      if state.machine.request == .awaitingIntent { suspend() }
      return
    }
    if case .unknown(let earlier) = result, reconcile(earlier, keyed, connection) { return suspend() }
    keyed.claimSettled(isClaimed: false)
    // The client may have been revoked while the disk was read.
    guard readmitIfNeeded(connection) else { return }
    switch result {
    case .durable: break
    case .failed: handle(.keyUnavailable, connection)
    case .unreadable:
      record.fault = "the journal cannot read what it has stored for this key"
      reject(LocalReply(Rejection.outcomeUnknown), connection)
    case .reused: reject(LocalReply(Rejection.idempotencyKeyReused), connection)
    case .stored(let response): replay(response, connection)
    case .notKept(let status, let high, let low):
      reject(.notKept(status: status, by: RequestID(high: high, low: low)), connection)
    case .unknown(let earlier): reject(.outcomeUnknown(of: earlier), connection)
    }
  }

  /// Keeps what is needed to ask Core for the result of this request, should its response be lost. The audit log drops the
  /// body.
  private func prepareToAsk(_ write: KeyedWrite, _ keyed: KeyedRequest, _ connection: DownstreamConnection) {
    guard let input = connection.input, let admission = state.admission, let snapshot = state.snapshot,
      snapshot.policy.instances[Int(admission.instanceIndex)].reconciles, !hasQueryForCore(input)
    else { return }
    keyed.askable = AskableWrite(
      write, state.head.method,
      path: input.buffer.withBytes { bytes in admission.corePath.map { bytes[$0] } },
      body: keyed.hasher.bytes, since: wallSeconds)
  }

  /// Whether Core gets a query, which may change what the request means.
  private func hasQueryForCore(_ input: RequestInput) -> Bool {
    guard let range = input.parser.head.query else { return false }
    let query = input.buffer.withBytes { bytes in String(decoding: range.map { bytes[$0] }, as: UTF8.self) }
    return !query.hasPrefix("instance_id=") || query.contains("&")
  }

  /// Asks Core about the earlier request; false if Core must not or cannot be asked.
  private func reconcile(_ earlier: UnknownWrite, _ keyed: KeyedRequest, _ connection: DownstreamConnection) -> Bool {
    guard let input = connection.input, let admission = state.admission, let snapshot = state.snapshot else {
      return false
    }
    let instance = snapshot.policy.instances[Int(admission.instanceIndex)]
    guard instance.reconciles, !hasQueryForCore(input) else { return false }
    let since = UnixSeconds(earlier.wallMicroseconds / 1_000_000)
    let reconciliation = input.buffer.withBytes { bytes in
      Reconciliation(
        state.head.method, path: bytes.extracting(admission.corePath), body: keyed.hasher.bytes, since: since)
    }
    guard let reconciliation, let endpoint = snapshot.generation.records(of: instance.id.text) else { return false }
    keyed.ask(reconciliation, of: earlier, endpoint, for: self)
    return true
  }

  /// Core has answered what it knows about the earlier request, or has failed to. Ignored if the exchange no longer waits.
  @inline(never)
  func reconciled(_ result: Reconciliation.Result) {
    guard let connection, let keyed = state.keyed, let earlier = keyed.askingSettled(),
      (state.machine.request, state.machine.response) == (.awaitingKey, .none), readmitIfNeeded(connection)
    else { return }
    switch result {
    case .done(let status, let body):
      replay(.reconstructed(status, body, earlier.requestIDHigh, earlier.requestIDLow), connection)
    case .differs: reject(LocalReply(Rejection.idempotencyRecordDiffers), connection)
    case .unclear(let reason):
      record.fault = "reconcile: \(reason)"
      reject(.outcomeUnknown(of: earlier), connection)
    }
  }

  /// Answers with the response to the earlier request.
  private func replay(_ stored: StoredResponse, _ connection: DownstreamConnection) {
    handle(.answeredLocally, connection)
    record.status = stored.status
    record.outcome = stored.isReconstructed ? "reconstructed" : "replayed"
    state.keepsAlive = state.head.keepsAlive && !worker.isEnding && skipBody(of: connection)
    stored.write(
      to: response.output, id: state.id, dateLine: worker.dateLine(), keepsAlive: state.keepsAlive,
      version: state.head.version, hasBody: !state.head.method.isHead)
    schedule(.deliver)
  }

  // MARK: The response

  /// Starts to read Core's response whole.
  private func keep(_ verdict: BreakerVerdict) {
    guard let access = state.access, let keyed = state.keyed else { return }
    report(verdict, to: access)
    response.beginKeeping(bytesMax: keyed.limits.responseBytesMax)
  }

  /// Reads more of the response; true if Core has to send more of it.
  @inline(never)
  func keepReceived(_ connection: DownstreamConnection) -> Bool {
    do throws(ChunkFault) {
      guard try response.keepReceived() else { return true }
      handle(.responseKept, connection)
    } catch {
      handle(.responseMalformed(.chunkMalformed(error)), connection)
    }
    return false
  }

  /// Passes the outcome to the journal; the response is relayed afterwards, whatever the journal says.
  ///
  /// The audit log has no response before: if it is cut off, the outcome is unknown there as well.
  private func recordOutcome(_ connection: DownstreamConnection) {
    record.status = response.parser.head.status
    state.times.responseBegan = loop.nowNanoseconds
    guard state.keyed?.record(outcomeOfResponse(), for: self) == true else {
      return handle(.outcomeSettled, connection)
    }
    suspend()
  }

  /// The limit of the body of a write with a key, if it is less than the route's.
  var keyedBodyBytesMax: Int? {
    guard let keyed = state.keyed, let admission = state.admission,
      keyed.limits.requestBytesMax < admission.bodyBytesMax
    else {
      return nil
    }
    return keyed.limits.requestBytesMax
  }

  private func outcomeOfResponse() -> KeyedOutcome {
    let status = response.parser.head.status
    // Core has not started: it refuses the gateway's key, the request came too early, or others use its accounts.
    if status == 401 || status == 429 || status == 423 && state.keyed?.isSingleTransaction == true { return .notSent }
    guard let body = response.keptBody, let access = state.access, let form = state.admission?.form else {
      return .responseNotKept(status: status)
    }
    let fields = response.keptFields(access, form)
    guard fields.count <= KeptFields.byteCountMax else { return .responseNotKept(status: status) }
    return .response(status: status, fields: fields, body: body)
  }

  /// Core locks the accounts of a single transaction before it does anything else; of a batch or a split payment it may have
  /// executed a part. To be called before the audit log drops the body.
  private func isSingleTransaction(_ body: [UInt8], _ connection: DownstreamConnection) -> Bool {
    guard state.head.method == .post, let input = connection.input, let admission = state.admission,
      input.buffer.withBytes({ bytes in bytes.has(transactionsPath, at: admission.corePath) })
    else { return false }
    return !JSONMembers(body.span).hasParts
  }

  /// A local reply to a write that was not sent waits until its key is free.
  @inline(never)
  func releaseKey(_ connection: DownstreamConnection) {
    guard state.keyed?.record(.notSent, for: self) == true else { return handle(.outcomeSettled, connection) }
    suspend()
  }

  /// Relays the response that the journal has, or has failed to keep.
  private func relayKept(_ connection: DownstreamConnection) {
    state.keyed?.end(wasSent: true)
    beginRelaying(.nothing)
    relayReceived(connection)
  }
}

private let transactionsPath = ShortText("/transactions")

extension JournalFullness {
  /// For the operator.
  fileprivate var text: String {
    switch self {
    case .cannotWrite: "the journal of idempotency keys cannot be written"
    case .cannotRead: "the journal of idempotency keys cannot be read"
    case .handedOver: "during an upgrade, another process takes new idempotency keys"
    case .keys: "the journal of idempotency keys is full: idempotency.keys_max"
    case .keysOfClient: "the client has too many idempotency keys: idempotency.keys_per_client_max"
    case .diskBytesOfClient: "the client has used its share of the journal: a part of idempotency.disk_bytes_max"
    case .diskBytes: "the journal of idempotency keys is full: idempotency.disk_bytes_max"
    }
  }
}

extension String {
  static func bodyTooLarge(withKey bytesMax: Int) -> String {
    "The request body is longer than \(bytesMax) bytes, the most that a request with an idempotency key may have."
  }
}

extension LocalReply {
  /// Without `not_sent`, which would mean that the key is free.
  static var keyUnreadable: LocalReply {
    var reply = LocalReply(Rejection.journalUnavailable)
    reply.message =
      "The gateway cannot tell at the moment what it has stored for this key. Repeat the request with the same key. "
      + "This request was not sent; an earlier one may have been."
    reply.outcome = nil
    return reply
  }

  fileprivate static func notKept(status: Int, by id: RequestID) -> LocalReply {
    var reply = LocalReply(Rejection.idempotencyResponseNotKept(status: status))
    reply.message =
      "Request \(id.text) with this key was answered with \(status), and its response cannot be repeated: it was "
      + "too large to keep, or cannot be read. This request was not sent."
    return reply
  }

  fileprivate static func outcomeUnknown(of earlier: UnknownWrite) -> LocalReply {
    let id = RequestID(high: earlier.requestIDHigh, low: earlier.requestIDLow)
    var reply = LocalReply(Rejection.outcomeUnknown)
    reply.message =
      "It is not known whether Core has executed request \(id.text) with this key. Ask Core for its result, or "
      + "the gateway's operator to resolve the key. This request was not sent."
    return reply
  }
}
