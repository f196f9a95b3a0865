import Bytes
import Digests
import HTTP1
import Policies
import SmallServer
import Synchronization

/// What operators and their tools ask: `/livez`, `/readyz`, `/metrics`, `/status` and `/policy`; GET only.
final class AdminSite: Site {
  /// Probes, scrapers and people: few, and with nothing to send.
  static let bounds = SmallServerBounds(
    connectionsMax: 16, reservedConnectionsMax: 2, bodyBytesMax: 0, milliseconds: 5_000)

  private let state: GatewayState
  /// Of the token that guards what tells of clients and instances; nil: none is asked for.
  private let token: Digest?
  private let hosts: AdminHosts
  private var date = HTTPDate()

  init(_ state: GatewayState, _ settings: AdminSettings) {
    self.state = state
    token = settings.token.map { SHA256.digest(of: $0.reveal().span) }
    hosts = AdminHosts(settings)
  }

  func respond(
    to head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest, _ output: ByteBuffer
  ) -> SmallResponse {
    let page = page(head, bytes, isReserved: request.isReserved)
    var response = AdminResponse(page.text, dateLine: date.line(at: request.seconds))
    response.suit(head, mayPersist: !request.isReserved && !state.isDraining.load(ordering: .relaxed))
    response.write(to: output)
    return response.rest(page.parts)
  }

  func refuse(_ fault: SmallRequestFault, isHead: Bool, at seconds: Int64, to output: ByteBuffer) {
    let text: AdminText =
      switch fault {
      case .head(let fault): .plain(LocalReply(fault).code.status, LocalReply(fault).message)
      case .body(.tooLarge): .plain(413, "No request here has a body.")
      case .body(.malformed(let fault)): .plain(400, "The request body is malformed: \(fault.text).")
      }
    AdminResponse(text, dateLine: date.line(at: seconds), hasBody: !isHead).write(to: output)
  }

  /// What the response holds, and where its parts come from if it is no short text.
  ///
  /// - Parameter isReserved: only a probe may be answered, so that scrapes that take all connections do not look like a
  ///   gateway that is dead.
  private func page(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, isReserved: Bool
  ) -> (text: AdminText, parts: AdminParts?) {
    if let refusal = hosts.refusal(of: head, bytes) { return (.plain(421, refusal), nil) }
    guard let path = AdminPath(bytes, head.path) else {
      return (.plain(404, "There are /livez, /readyz, /metrics, /status and /policy."), nil)
    }
    guard head.method == .get || head.method == .head else {
      return (.plain(405, "Only GET is known here.", field: ("Allow", "GET, HEAD")), nil)
    }
    guard !path.isGuarded || !isReserved else {
      let line =
        "All \(Self.bounds.connectionsMax) connections for operators are in use; ask again, or end those that are slow."
      return (.plain(503, line, field: ("Retry-After", "1")), nil)
    }
    guard !path.isGuarded || isAuthorized(head, bytes) else {
      return (
        .plain(
          401, "Send the admin token as Authorization: Bearer <token>.",
          field: ("WWW-Authenticate", "Bearer realm=\"blnk-gateway admin\"")), nil
      )
    }
    switch path {
    case .livez: return (liveness, nil)
    case .readyz: return (state.isDraining.load(ordering: .relaxed) ? .plain(503, "draining") : .plain(200, "ok"), nil)
    case .metrics:
      var scrape = MetricsScrape(state)
      return (.streamed("text/plain; version=0.0.4; charset=utf-8"), { scrape.piece() })
    case .status:
      var status = StatusReport(state)
      return (.streamed("application/json"), { status.piece() })
    case .policy:
      var report: [UInt8]? = PolicyReport(state).json
      return (.streamed("application/json"), { report.take() })
    }
  }

  /// A loop that never ends its turn serves nobody any more, and no restart but one from outside helps.
  private var liveness: AdminText {
    let stuck = state.stuckLoops()
    guard let first = stuck.first else { return .plain(200, "ok") }
    return .plain(503, "loop \(first) has been in one turn for more than 10 s")
  }

  /// Digests are compared in a time that tells nothing of where they differ.
  private func isAuthorized(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
    guard let token else { return true }
    var presented: Digest?
    for index in head.fields.indices where head.fields[index].kind == .authorization {
      guard presented == nil, let value = bearer(bytes.extracting(head.fields[index].value)) else { return false }
      presented = value
    }
    return presented == token
  }

  private func bearer(_ credentials: Span<UInt8>) -> Digest? {
    let scheme = Array("bearer ".utf8)
    guard credentials.count > scheme.count else { return nil }
    // RFC 9110 §11.1: schemes are compared without case.
    for index in scheme.indices where credentials[index] | 0x20 != scheme[index] { return nil }
    return SHA256.digest(of: credentials.extracting(scheme.count..<credentials.count))
  }
}

/// Parts of a long body, one after the other; nil behind the last one.
typealias AdminParts = () -> [UInt8]?

/// The paths that there are, compared byte for byte; a query does not matter.
enum AdminPath: String, CaseIterable {
  case livez = "/livez"
  case readyz = "/readyz"
  case metrics = "/metrics"
  case status = "/status"
  case policy = "/policy"

  init?(_ bytes: Span<UInt8>, _ path: Range<Int>) {
    // Nothing is allocated for the paths of requests.
    guard path.count <= 8 else { return nil }
    let text = String(decoding: (path.lowerBound..<path.upperBound).map { bytes[$0] }, as: UTF8.self)
    self.init(rawValue: text)
  }

  /// Probes have no token, and learn nothing but yes or no.
  var isGuarded: Bool {
    switch self {
    case .livez, .readyz: false
    case .metrics, .status, .policy: true
    }
  }
}
