/// The conditions, sort order and page of a filtered list.
struct FilterQuery {
  /// A table of Core's database and the fields that filters may use.
  struct Table {
    let name: String
    let fields: Set<String>

    static let balances = Table(
      name: "balances",
      fields: [
        "balance_id", "balance", "credit_balance", "debit_balance", "inflight_balance", "inflight_credit_balance",
        "inflight_debit_balance", "currency", "ledger_id", "identity_id", "indicator", "created_at",
      ])
    static let identities = Table(
      name: "identity",
      fields: [
        "identity_id", "identity_type", "organization_name", "category", "first_name", "last_name", "other_names",
        "gender", "dob", "email_address", "phone_number", "nationality", "street", "country", "state", "post_code",
        "city", "created_at",
      ])
    static let ledgers = Table(name: "ledgers", fields: ["ledger_id", "name", "created_at"])
  }

  private static let shape = BodyShape(
    type: "api.FilterRequest",
    fields: [
      ("filters", .any), ("logical_operator", .string), ("limit", .integer), ("offset", .integer),
      ("sort_by", .string), ("sort_order", .string), ("include_count", .bool),
    ])
  private static let limitDefault = 20
  private static let limitMax = 100

  let filters: [Filter]
  private var matchesAny = false
  private var sortBy = "created_at"
  private var isAscending = false
  private var countsAll = false
  private var limit = FilterQuery.limitDefault
  private var offset = 0

  init(_ body: [UInt8], _ table: Table) throws(CoreError) {
    let bound: BoundBody
    do { bound = try Self.shape.read(body) } catch {
      throw CoreError(error.status, "GEN_VALIDATION_ERROR", error.message)
    }
    let logical = bound.string("logical_operator").lowercased()
    guard ["", "and", "or"].contains(logical) else {
      throw CoreError(400, "GEN_VALIDATION_ERROR", "invalid logical_operator: must be 'and' or 'or'")
    }
    matchesAny = logical == "or"
    filters = try Self.filters(bound.value("filters"), table)
    let asked = bound.integer("limit")
    if asked > 0, asked <= Self.limitMax { limit = asked }
    offset = max(bound.integer("offset"), 0)
    if table.fields.contains(bound.string("sort_by").lowercased()) { sortBy = bound.string("sort_by").lowercased() }
    isAscending = bound.string("sort_order").lowercased() == "asc"
    countsAll = bound.bool("include_count")
  }

  /// Reads the `field_operator=value` pairs of a list's query; the list parses its own page.
  init(_ query: SandboxQuery, _ table: Table, page: SandboxPage) throws(CoreError) {
    var found: [Filter] = []
    for (name, value) in query.pairs {
      guard let cut = name.lastIndex(of: "_"),
        let operation = Filter.Operator(rawValue: String(name[name.index(after: cut)...]))
      else { continue }
      let parts: [Substring] =
        switch operation {
        case .isIn: value.split(separator: ",")
        case .between: value.split(separator: "|")
        case .eq, .ne, .gt, .gte, .lt, .lte, .like, .ilike, .isNull, .isNotNull: [value[...]]
        }
      let field = try Self.known(String(name[..<cut]), table)
      found.append(Filter(field: field, operation: operation, values: parts.map { .string(String($0)) }))
    }
    filters = found
    limit = page.limit
    offset = page.offset
  }

  /// The response for these records.
  ///
  /// - Parameter records: newest first.
  func answer(_ records: some Sequence<JSONValue>) -> SandboxResponse {
    var found = records.filter(matches)
    if sortBy != "created_at" {
      found.sort { FilterOrder.of($0[sortBy] ?? .null, $1[sortBy] ?? .null) == (isAscending ? .less : .greater) }
    } else if isAscending {
      found.reverse()
    }
    let page = JSONValue.list(Array(found.dropFirst(offset).prefix(limit)))
    return .json(200, countsAll ? ["data": page, "total_count": .integer(found.count)] : page)
  }

  private func matches(_ record: JSONValue) -> Bool {
    guard !filters.isEmpty else { return true }
    return matchesAny ? filters.contains { $0.matches(record) } : filters.allSatisfy { $0.matches(record) }
  }

  private static func filters(_ value: JSONValue?, _ table: Table) throws(CoreError) -> [Filter] {
    guard case .array(let elements) = value else { return [] }
    var filters: [Filter] = []
    for element in elements {
      let field = try known(element["field"]?.text ?? "", table)
      let name = element["operator"]?.text ?? ""
      guard let operation = Filter.Operator(rawValue: name) else {
        throw invalid(
          "invalid operator '\(name)' for field '\(field)': must be one of \(Filter.operatorNames)")
      }
      var values = [element["value"]].compactMap(\.self)
      if case .array(let several) = element["values"] { values += several }
      filters.append(Filter(field: field, operation: operation, values: values))
    }
    return filters
  }

  private static func known(_ field: String, _ table: Table) throws(CoreError) -> String {
    guard table.fields.contains(field) else { throw invalid("invalid field '\(field)' for table '\(table.name)'") }
    return field
  }

  private static func invalid(_ what: String) -> CoreError {
    CoreError(400, "GEN_BAD_REQUEST", "Invalid filter: \(what)", shape: .errorWithDetails)
  }
}

extension SandboxLedger {
  private var balanceRecords: some Sequence<JSONValue> {
    balances.newestFirst.map(BalanceView(context: .listed).json)
  }

  func filterLedgers(_ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    try FilterQuery(body, .ledgers).answer(ledgers.newestFirst.map(\.json))
  }

  func filterIdentities(_ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    try FilterQuery(body, .identities).answer(identities.newestFirst.map(\.json))
  }

  func filterBalances(_ body: [UInt8]) throws(CoreError) -> SandboxResponse {
    try FilterQuery(body, .balances).answer(balanceRecords)
  }

  func listLedgers(_ query: SandboxQuery) throws(CoreError) -> SandboxResponse {
    let page = try SandboxPage(query, invalid: "Invalid")
    return try FilterQuery(query, .ledgers, page: page).answer(ledgers.newestFirst.map(\.json))
  }

  func listBalances(_ query: SandboxQuery) throws(CoreError) -> SandboxResponse {
    let page = try SandboxPage(query, invalid: "invalid")
    return try FilterQuery(query, .balances, page: page).answer(balanceRecords)
  }

  /// Without a filter, Core returns all identities and ignores `limit` and `offset`; with one, it applies valid values.
  func listIdentities(_ query: SandboxQuery) throws(CoreError) -> SandboxResponse {
    let all = identities.newestFirst.map(\.json)
    let filtered = try FilterQuery(query, .identities, page: SandboxPage(lenient: query))
    return filtered.filters.isEmpty ? .json(200, .list(all)) : filtered.answer(all)
  }
}

/// The `limit` and `offset` of a list.
struct SandboxPage {
  let limit: Int
  let offset: Int

  /// - Parameter invalid: the first word of the error message; it differs between Core's lists.
  init(_ query: SandboxQuery, invalid: String) throws(CoreError) {
    guard let limit = Int(query["limit"] ?? "10"), limit > 0 else {
      throw CoreError(400, "GEN_VALIDATION_ERROR", "\(invalid) limit value")
    }
    guard let offset = Int(query["offset"] ?? "0"), offset >= 0 else {
      throw CoreError(400, "GEN_VALIDATION_ERROR", "\(invalid) offset value")
    }
    self.limit = limit
    self.offset = offset
  }

  /// Uses the defaults for invalid values.
  init(lenient query: SandboxQuery) {
    let limit = query["limit"].flatMap { Int($0) } ?? 0
    self.limit = (1...100).contains(limit) ? limit : 20
    offset = max(query["offset"].flatMap { Int($0) } ?? 0, 0)
  }
}
