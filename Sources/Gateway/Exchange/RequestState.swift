import HTTP1
import Policies
import Telemetry
import Upstream

/// All that is known of one request while it is served, its record aside; made anew for the next one by one assignment.
struct RequestState: ~Copyable {
  var machine = ExchangeMachine()
  let id: RequestID
  /// What the head says of the connection and of the response's form.
  var head = HeadFacts()

  /// The policy that the request was admitted under.
  var snapshot: Snapshot?
  /// The generation that admitted it last: a newer one is asked again before anything is sent.
  var generation = 0
  var trace = AdmissionTrace()
  var admission: Admission?
  /// When its token expires, by the policy that was asked last.
  var expiry: UnixSeconds?
  /// Its slots in the client's and the instance's limits.
  var permit: Permit?
  var access: InstanceAccess?
  /// Which of the instance's keys the request bears.
  var keyIndex = 0
  var upstream: UpstreamConnection?
  /// What the audit log has to know; nil for reads, and without an audit log.
  var audited: AuditedWrite?

  /// Whether the client's connection outlives the response.
  var keepsAlive = false
  /// The call to the exchange that the loop still owes.
  var wakeUp: WakeUp?
  /// The gateway's own code, for the record.
  var code: GatewayCode?
  /// What failed, for the breaker and `/status`.
  var fault: Fault?
  var clock: ExchangeClock
  var times: ExchangeTimes

  /// Inlined, it is built where it belongs instead of being copied there twice: 150 instructions.
  ///
  /// - Parameter now: monotonic nanoseconds.
  @inline(__always)
  init(_ id: RequestID, now: Int64, _ pace: ClientPace) {
    self.id = id
    clock = ExchangeClock(at: now / 1_000_000, pace)
    times = ExchangeTimes(started: now)
  }
}

/// What a request's head says of its connection and of the form of its response.
struct HeadFacts {
  var method = Method.other
  var version = Version.http11
  var keepsAlive = false
  var expectsContinue = false
}

/// Why the loop calls an exchange, or its connection, once more.
enum WakeUp: UInt8 {
  /// The connection's: a pipelined request waits.
  case nextRequest
  /// A question that admission waited for is settled.
  case resumeAdmission
  case leaseGranted
  case send
  case readResponse
  /// Write what waits for the client; when nothing does, the exchange is over.
  case deliver
}
