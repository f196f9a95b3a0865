/// A stand-in for one Blnk Core v0.15, whole in memory: it answers as Core does and keeps nothing.
package struct SandboxLedger: Sendable {
  /// Core's own ledger, which every installation has.
  static let generalLedgerID = "general_ledger_id"

  /// What `GET /` says: nobody is to take the stand-in for a Core.
  static let greeting = "stand-in for Blnk Core, which keeps nothing: server running..."

  private let key: String
  let dialect: CoreDialect
  private let recordsMax: Int
  private let clock: @Sendable () -> Int64
  private let makeUUID: @Sendable () -> String

  var ledgers = SandboxTable<Ledger>()
  var identities = SandboxTable<Identity>()
  var balances = SandboxTable<Balance>()
  var transactions = SandboxTable<Transaction>()

  /// - Parameters:
  ///   - key: what `X-Blnk-Key` has to be.
  ///   - dialect: whose word it takes where Core and its documents differ.
  ///   - recordsMax: of all kinds together; creating more is refused.
  ///   - clock: nanoseconds since 1970.
  ///   - makeUUID: a new UUID in small letters at each call.
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

  package mutating func answer(_ request: SandboxRequest) -> SandboxResponse {
    if request.method == "OPTIONS", request.target == "*" { return .serverOptions }
    guard let target = SandboxTarget(request.target) else { return .badTarget }
    let route = SandboxRoute(method: request.method, segments: target.segments, dialect)
    if route == nil, let redirect = redirect(request, target) { return redirect }
    do {
      if SandboxRoute.needsKey(target.segments) { try authenticate(request) }
      guard let route else { return .pageNotFound }
      return try answer(route, target.query, request.body)
    } catch {
      return error.answer
    }
  }

  private func authenticate(_ request: SandboxRequest) throws(CoreRefusal) {
    let presented = request.key?.trimmingBlanks ?? ""
    guard !presented.isEmpty else {
      throw CoreRefusal(401, "AUTH_MISSING_API_KEY", "Authentication required. Use X-Blnk-Key header")
    }
    guard String(presented).hasSameBytes(as: key) else {
      throw CoreRefusal(401, "AUTH_INVALID_API_KEY", "Invalid API key")
    }
  }

  /// A path that is a route without its last slash is sent there.
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
    _ route: SandboxRoute, _ query: SandboxQuery, _ body: [UInt8]
  ) throws(CoreRefusal) -> SandboxResponse {
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
    case .createTransaction: try createTransaction(body)
    case .getTransaction(let id): try getTransaction(id)
    case .transactionByReference(let reference): try getTransaction(reference: reference)
    }
  }

  func now() -> GoTime { GoTime(nanoseconds: clock()) }

  func makeID(_ prefix: String) -> String { "\(prefix)_\(makeUUID())" }

  func checkRoom() throws(CoreRefusal) {
    guard ledgers.count + identities.count + balances.count + transactions.count < recordsMax else {
      throw CoreRefusal(500, "GEN_INTERNAL_ERROR", "this stand-in keeps at most \(recordsMax) records")
    }
  }
}

extension JSONValue {
  /// A list as Core writes it: an empty one is a nil slice, so `null`.
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
