import Bytes
import Digests
import HTTP1
import OAuth
import Policies
import SmallServer
import Synchronization

/// Serves the admin endpoint: the status page `/` with its `/events`, `/livez`, `/readyz`, `/metrics`, `/status`,
/// `/policy` and `/idempotency`; GET and HEAD, and POST for the last, `/outcome` and `/audit`.
final class AdminHandler: RequestHandler {
  /// Callers are probes, scrapers and operators: few, and without request bodies, except for forms that change keys.
  static let bounds = SmallServerBounds(
    connectionsMax: 16, reservedConnectionsMax: 2, streamsMax: 8, bodyBytesMax: 0, timeoutMilliseconds: 5_000)

  private let state: GatewayState
  /// The digest of the token that guards pages about clients and instances; nil: no token is required.
  private let token: Digest?
  /// Whether the permissions of a socket file decide who may connect.
  private let isLocalSocket: Bool
  private let hosts: AdminHosts
  private let journal: AdminJournal?
  private let outcomes: AdminOutcomes?
  private let changes: AdminChanges?
  private let events: StatusEvents
  private var date = DateLine()

  init(_ state: GatewayState, _ settings: AdminSettings) {
    self.state = state
    events = StatusEvents(state)
    isLocalSocket = if case .unix = settings.address { true } else { false }
    token = settings.token.map { SHA256.digest(of: $0.reveal().span) }
    hosts = AdminHosts(settings)
    let audit = state.auditLog.map(CommandAudit.init)
    journal = state.journal.map { journal in
      AdminJournal(journal: journal, audit: audit) { state.policyInForce.generation.policy }
    }
    outcomes = audit.map { AdminOutcomes($0, state.records) { state.policyInForce.generation } }
    changes = audit.map {
      AdminChanges(audit: $0) {
        state.policyInForce.generation.policy.settings.auditKey
      }
    }
  }

  func respond(
    to head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest, _ output: ByteBuffer
  ) -> SmallResponse {
    let page = page(head, bytes, request)
    var response = AdminResponse(page.content, dateLine: date.line(at: request.seconds))
    response.adapt(to: head, mayPersist: !request.isReserved && !state.isDraining.load(ordering: .relaxed))
    response.write(to: output)
    return response.streaming(page.parts)
  }

  func bodyBytesMax(of head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Int? {
    head.method == .post && AdminPath(bytes, head.path)?.takesForms == true ? FormBody.bytesMax : nil
  }

  func reject(_ fault: SmallRequestFault, isHead: Bool, at seconds: Int64, to output: ByteBuffer) {
    let content: AdminContent =
      switch fault {
      case .head(let fault): .plain(LocalReply(fault).code.status, LocalReply(fault).message)
      case .body(.tooLarge):
        .plain(
          413,
          "The admin endpoint accepts no request body, except for a form of at most \(FormBody.bytesMax) bytes at /idempotency, /outcome and /audit."
        )
      case .body(.malformed(let fault)): .plain(400, "The request body is malformed: \(fault.text).")
      }
    AdminResponse(content, dateLine: date.line(at: seconds), hasBody: !isHead).write(to: output)
  }

  /// The content of the response and, if it is streamed, its parts.
  ///
  /// On a reserved connection, only probes are answered, so that scrapes that use up all others do not make the gateway look
  /// dead.
  private func page(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest
  ) -> (content: AdminContent, parts: AdminParts?) {
    if let message = hosts.rejection(of: head, bytes) { return (.plain(421, message), nil) }
    guard let path = AdminPath(bytes, head.path) else {
      return (
        .plain(
          404,
          "Not found: the admin endpoint serves /, /livez, /readyz, /metrics, /status, /policy, /idempotency, /outcome and "
            + "/audit."
        ),
        nil
      )
    }
    guard path.isRead && (head.method == .get || head.method == .head) || path.takesForms && head.method == .post else {
      let allow = !path.isRead ? "POST" : path.takesForms ? "GET, HEAD, POST" : "GET, HEAD"
      return (.plain(405, "Method not allowed: use one of \(allow).", fields: [("Allow", allow)]), nil)
    }
    guard !path.isGuarded || !request.isReserved else {
      let line =
        "All \(Self.bounds.connectionsMax) connections of the admin endpoint are in use. Retry, or close slow ones."
      return (.plain(503, line, fields: [("Retry-After", "1")]), nil)
    }
    guard !path.isGuarded || isAuthorized(head, bytes, path) else { return (Self.unauthorized(path), nil) }
    switch path {
    case .page:
      var page: [UInt8]? = StatusPage.html(StatusView(StatusReport(state, rowsMax: StatusPage.rowsMax).reading))
      return (.streamed("text/html; charset=utf-8", fields: StatusPage.fields), { page.take() })
    case .events: return events(head, bytes, request)
    case .livez: return (liveness, nil)
    case .readyz: return (readiness, nil)
    case .metrics:
      var scrape = MetricsScrape(state)
      return (.streamed("text/plain; version=0.0.4; charset=utf-8"), { scrape.piece() })
    case .status:
      guard let rowsMax = rowsMax(head, bytes) else {
        return (.plain(400, "rows must be 1 to \(Self.rowsMax)."), nil)
      }
      var status = StatusReport(state, rowsMax: rowsMax)
      return (.streamed("application/json"), { status.piece() })
    case .policy:
      var report: [UInt8]? = PolicyReport(state).json
      return (.streamed("application/json"), { report.take() })
    case .idempotency: return idempotency(head, bytes, request)
    case .outcome:
      guard let outcomes else { return (Self.noAuditLog, nil) }
      return changesAreGuarded ? content(outcomes.answer(request.body)) : (Self.unguarded, nil)
    case .audit:
      guard let changes else { return (Self.noAuditLog, nil) }
      return content(changes.answer(request.body, isGuarded: changesAreGuarded, at: request.seconds))
    }
  }

  private static let noAuditLog = AdminContent.plain(
    404, "This gateway has no audit log: gateway.json has no \"audit_log\".")

  /// A page of another site, which a browser reads as well, must not take a place of viewers.
  private func events(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest
  ) -> (content: AdminContent, parts: AdminParts?) {
    for index in head.fields.indices where bytes.has(anyCaseOf: "sec-fetch-site", at: head.fields[index].name) {
      guard bytes.has(anyCaseOf: "same-origin", at: head.fields[index].value) else {
        return (.plain(403, "Only the status page may read its events."), nil)
      }
    }
    guard request.mayStream || head.method == .head else {
      let line = "\(Self.bounds.streamsMax) viewers have the status page open. Retry when one has closed it."
      return (.plain(503, line, fields: [("Retry-After", "5")]), nil)
    }
    return (.events, events.parts())
  }

  private static let rowsMax = 10_000

  /// The `rows` of the query; without one, all. Nil: not a number of rows.
  private func rowsMax(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Int? {
    guard let query = head.query, let form = try? FormBody(bytes.extracting(query)), let text = form["rows"] else {
      return .max
    }
    return Int(text).flatMap { (1...Self.rowsMax).contains($0) ? $0 : nil }
  }

  /// A browser on this machine can send a form to a local address without a token.
  private var changesAreGuarded: Bool { token != nil || isLocalSocket }

  private static let unguarded = AdminContent.plain(
    403, "Changes need an admin token, or an \"admin\" on a Unix socket.")

  private func idempotency(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest
  ) -> (content: AdminContent, parts: AdminParts?) {
    guard let journal else {
      return (.plain(404, "This gateway has no journal: gateway.json has no \"idempotency\"."), nil)
    }
    guard head.method == .post else {
      let query = head.query.map { range in range.map { bytes[$0] } } ?? []
      return content(journal.list(query))
    }
    return changesAreGuarded ? content(journal.change(request.body)) : (Self.unguarded, nil)
  }

  private func content(_ answer: AdminAnswer) -> (content: AdminContent, parts: AdminParts?) {
    switch answer {
    case .line(let status, let line): return (.plain(status, line), nil)
    case .json(let bytes):
      var body: [UInt8]? = bytes
      return (.streamed("application/json"), { body.take() })
    }
  }

  /// A loop that never ends its turn serves nothing, and only a restart helps.
  private var liveness: AdminContent {
    let stuck = state.stuckLoops()
    guard let first = stuck.first else { return .plain(200, "ok") }
    return .plain(503, "loop \(first) has been in one turn for more than 10 s")
  }

  private var readiness: AdminContent {
    if let reason = state.unreadiness { return .plain(503, reason) }
    return .plain(200, (["ok"] + state.restrictions).joined(separator: "\n"))
  }

  private static func unauthorized(_ path: AdminPath) -> AdminContent {
    let bearer = ("WWW-Authenticate", "Bearer realm=\"blnk-gateway admin\"")
    guard path.isForBrowsers else {
      return .plain(401, "Send the admin token as Authorization: Bearer <token>.", fields: [bearer])
    }
    let basic = ("WWW-Authenticate", "Basic realm=\"blnk-gateway admin\", charset=\"UTF-8\"")
    return .plain(401, "Send the admin token as the password, with any user name.", fields: [basic, bearer])
  }

  /// Whether the request has the token. The time of comparing digests does not reveal where they differ.
  private func isAuthorized(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ path: AdminPath) -> Bool {
    guard let token else { return true }
    var presented: Digest?
    for index in head.fields.indices where head.fields[index].kind == .authorization {
      let field = bytes.extracting(head.fields[index].value)
      guard presented == nil, let value = bearer(field) ?? (path.isForBrowsers ? password(field) : nil) else {
        return false
      }
      presented = value
    }
    return presented == token
  }

  private func bearer(_ credentials: Span<UInt8>) -> Digest? {
    let scheme = Array("bearer ".utf8)
    guard credentials.count > scheme.count else { return nil }
    // RFC 9110 §11.1: the scheme is case-insensitive.
    for index in scheme.indices where credentials[index] | 0x20 != scheme[index] { return nil }
    return SHA256.digest(of: credentials.extracting(scheme.count..<credentials.count))
  }

  private func password(_ credentials: Span<UInt8>) -> Digest? {
    guard let (pair, colon) = basicCredentials(credentials) else { return nil }
    return SHA256.digest(of: pair.span.extracting(droppingFirst: colon + 1))
  }
}

/// Returns the next part of a streamed body; nil after the last one.
typealias AdminParts = () -> [UInt8]?

/// The paths of the admin endpoint, compared byte by byte. A query is ignored.
enum AdminPath: String, CaseIterable {
  case page = "/"
  case events = "/events"
  case livez = "/livez"
  case readyz = "/readyz"
  case metrics = "/metrics"
  case status = "/status"
  case policy = "/policy"
  case idempotency = "/idempotency"
  case outcome = "/outcome"
  case audit = "/audit"

  init?(_ bytes: Span<UInt8>, _ path: Range<Int>) {
    // Return before allocating: most paths are those of requests to Core.
    guard path.count <= 8 || path.count == 12 else { return nil }
    let text = String(decoding: (path.lowerBound..<path.upperBound).map { bytes[$0] }, as: UTF8.self)
    self.init(rawValue: text)
  }

  /// Whether it requires the token. Probes carry no token; their replies reveal only liveness or readiness.
  var isGuarded: Bool {
    switch self {
    case .livez, .readyz: false
    case .page, .events, .metrics, .status, .policy, .idempotency, .outcome, .audit: true
    }
  }

  /// Whether the token may come as a password (RFC 7617), since browsers cannot send it otherwise. They send passwords
  /// along with requests that pages of other sites make, so such a path must only read.
  fileprivate var isForBrowsers: Bool { self == .page || self == .events }

  /// Whether GET and HEAD are allowed.
  fileprivate var isRead: Bool { self != .outcome && self != .audit }

  /// Whether POST is allowed.
  fileprivate var takesForms: Bool { self == .idempotency || !isRead }
}
