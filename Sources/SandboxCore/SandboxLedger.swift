/// An in-memory substitute for one Blnk Core v0.15, for demos and tests: it answers as Core does and persists nothing.
package struct SandboxLedger: Sendable {
  /// The ledger that every Core has from the start.
  static let generalLedgerID = "general_ledger_id"

  /// The response to `GET /`. Unlike Core's, it says that this is not a Core.
  static let greeting = "sandbox for Blnk Core, in memory only: server running..."

  private let key: String
  let dialect: CoreDialect
  private let recordsMax: Int
  private let clock: @Sendable () -> Int64
  private let makeUUID: @Sendable () -> String

  var ledgers = SandboxTable<Ledger>()
  var identities = SandboxTable<Identity>()
  var balances = SandboxTable<Balance>()
  var transactions = SandboxTable<Transaction>()
  /// The ids of the stored transactions by the bytes of their references.
  var transactionIDs: [[UInt8]: String] = [:]
  /// Queued transactions that are not stored yet, each with the parts that it has.
  var queue: [[Transaction]] = []
  /// How often each write was executed.
  package private(set) var executions: [SandboxExecution: Int] = [:]

  /// - Parameters:
  ///   - key: the required value of `X-Blnk-Key`.
  ///   - dialect: what to follow where Core and its documents differ.
  ///   - recordsMax: of all kinds together; more get 500.
  ///   - clock: nanoseconds since 1970.
  ///   - makeUUID: returns a new UUID in lowercase at each call.
  package init(
    key: String, dialect: CoreDialect = .measured, recordsMax: Int = 100_000, clock: @escaping @Sendable () -> Int64,
    makeUUID: @escaping @Sendable () -> String
  ) {
    self.key = key
    self.dialect = dialect
    self.recordsMax = recordsMax
    self.clock = clock
    self.makeUUID = makeUUID
    let general = Ledger(
      id: Self.generalLedgerID, name: "General Ledger", createdAt: GoTime(nanoseconds: clock()), metaData: .null)
    ledgers.insert(general, id: general.id)
  }

  /// - Parameter runsQueue: whether a queued transaction is stored and applied before the response; otherwise
  ///   `runQueue` does it.
  package mutating func answer(_ request: SandboxRequest, runsQueue: Bool = true) -> SandboxResponse {
    if request.method == "OPTIONS", request.target == "*" { return .serverOptions }
    guard let target = SandboxTarget(request.target) else { return .badTarget }
    let route = SandboxRoute(method: request.method, segments: target.segments, dialect)
    if route == nil, let redirect = redirect(request, target) { return redirect }
    do {
      if SandboxRoute.needsKey(target.segments) { try authenticate(request) }
      guard let route else { return .pageNotFound }
      return try answer(route, target.query, request.body, runsQueue: runsQueue)
    } catch {
      return error.response
    }
  }

  private func authenticate(_ request: SandboxRequest) throws(CoreError) {
    let presented = request.key?.trimmingBlanks ?? ""
    guard !presented.isEmpty else {
      throw CoreError(401, "AUTH_MISSING_API_KEY", "Authentication required. Use X-Blnk-Key header")
    }
    guard String(presented).hasSameBytes(as: key) else {
      throw CoreError(401, "AUTH_INVALID_API_KEY", "Invalid API key")
    }
  }

  /// Redirects a path with a trailing slash to the route without it.
  private func redirect(_ request: SandboxRequest, _ target: SandboxTarget) -> SandboxResponse? {
    guard target.segments.firstIndex(of: "") == target.segments.count - 1, target.segments.count > 1,
      target.path.hasSuffix("/"),
      SandboxRoute(method: request.method, segments: target.segments.dropLast(), dialect) != nil
    else { return nil }
    let query = target.rawQuery.map { "?\($0)" } ?? ""
    return .redirect(
      method: request.method, to: (request.forwardedPrefix ?? "") + target.path.dropLast() + query)
  }

  private mutating func answer(
    _ route: SandboxRoute, _ query: SandboxQuery, _ body: [UInt8], runsQueue: Bool
  ) throws(CoreError) -> SandboxResponse {
    switch route {
    case .root: .json(200, .string(Self.greeting))
    case .health: .json(200, ["status": "UP"])
    case .createLedger: try createLedger(body)
    case .listLedgers: try listLedgers(query)
    case .filterLedgers: try filterLedgers(body)
    case .filterIdentities: try filterIdentities(body)
    case .filterBalances: try filterBalances(body)
    case .getLedger(let id): try getLedger(id)
    case .createIdentity: try createIdentity(body)
    case .listIdentities: try listIdentities(query)
    case .getIdentity(let id): .json(200, try identity(id).json)
    case .updateIdentity(let id): try updateIdentity(id, body)
    case .deleteIdentity(let id): try deleteIdentity(id)
    case .tokenizedFields(let id): try getTokenizedFields(id)
    case .tokenizeField(let id, let field): try tokenize(id, field: field)
    case .tokenize(let id): try tokenize(id, body)
    case .detokenizeField(let id, let field): try detokenize(id, field: field)
    case .detokenize(let id): try detokenize(id, body)
    case .createBalance: try createBalance(body)
    case .listBalances: try listBalances(query)
    case .getBalance(let id): try getBalance(id, query)
    case .linkIdentity(let id): try linkIdentity(balance: id, body)
    case .balanceByIndicator(let indicator, let currency): try getBalance(indicator: indicator, currency: currency)
    case .balanceAt(let id): try getBalanceAt(id, query)
    case .balanceLineage(let id): try getLineage(id)
    case .updateMetadata(let id): try updateMetadata(id, body)
    case .createTransaction: try createTransaction(body, runsQueue: runsQueue)
    case .getTransaction(let id): try getTransaction(id)
    case .transactionByReference(let reference): try getTransaction(reference: reference)
    }
  }

  func now() -> GoTime { GoTime(nanoseconds: clock()) }

  func makeID(_ prefix: String) -> String { "\(prefix)_\(makeUUID())" }

  mutating func count(_ execution: SandboxExecution) { executions[execution, default: 0] += 1 }

  func checkCapacity(adding added: Int = 1) throws(CoreError) {
    let queued = queue.reduce(0) { $0 + $1.count }
    let records = ledgers.count + identities.count + balances.count + transactions.count + queued
    // Counts outlive deleted identities. A record has at most two counts.
    guard records + added <= recordsMax, executions.count < 2 * recordsMax else {
      throw CoreError(500, "GEN_INTERNAL_ERROR", "the sandbox stores at most \(recordsMax) records")
    }
  }
}

/// A write that the sandbox counts, so that a test can tell how often it was executed.
package enum SandboxExecution: Hashable, Sendable {
  /// A ledger, identity or balance was created by a request.
  case created(id: String)
  /// A ledger, identity, balance or transaction was changed by a request: fields, tokens, link, metadata, deletion.
  case changed(id: String)
  /// An amount was moved under this reference. Each part of a split payment has its own: `ref-1`, or `ref_1` if queued.
  case moved(reference: String)
}

/// What the sandbox follows where Core and its documents differ.
package enum CoreDialect: String, CaseIterable, Sendable {
  /// The recorded responses of Core v0.15.
  case measured = "0.15"
  /// Blnk's documents; this affects the errors of the call that links a balance to an identity, and a repeated
  /// `identity_id`.
  case documented
}

extension JSONValue {
  /// A list as Core encodes it: an empty one is a nil slice, so `null`.
  static func list(_ elements: [JSONValue]) -> JSONValue { elements.isEmpty ? .null : .array(elements) }
}

extension String {
  fileprivate var trimmingBlanks: Substring {
    var rest = Substring(self)
    while rest.first == " " || rest.first == "\t" { rest.removeFirst() }
    while rest.last == " " || rest.last == "\t" { rest.removeLast() }
    return rest
  }
}
