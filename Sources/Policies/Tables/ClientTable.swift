/// All clients in flat arrays, because there can be as many as tokens: about 40 bytes each, plus names and grants.
///
/// As a collection it makes a `Client` for each element. Requests read single properties, which does not allocate.
/// After the clients' rows it has a row for each token binding: the same client with other instances. These rows are
/// reached by index only and are not part of the collection.
package struct ClientTable: Sendable, RandomAccessCollection {
  private struct Row {
    let scopes: ScopeSet
    /// The offset of the id in `texts`; the name follows.
    let textStart: UInt32
    let idLength: UInt8
    var isRevoked: Bool
    let nameLength: UInt16
    /// -1: none.
    var defaultInstance: Int32
    /// -1: all instances.
    var instanceCount: Int32
    var instanceStart: UInt32
    /// Indices in the arrays below.
    let callers: UInt32
    let limits: UInt32
    /// Fills what would otherwise be padding.
    let key: UInt32
  }

  private var rows: [Row] = []
  /// `packed` moves them after the clients' rows.
  private var boundRows: [Row] = []
  private var clientCount = 0
  private(set) var texts: [UInt8] = []
  private var instances: [Int32] = []
  /// The first one is the default, which most clients have; likewise in `limits`.
  private var callers: [CallerGrant] = [CallerGrant()]
  private var limits: [ClientLimits] = [ClientLimits()]
  /// By client index, for the few that have one.
  private var signed: [Int32: SignedGrant] = [:]

  /// What concerns tokens that the gateway signs for a client.
  private struct SignedGrant {
    let oauth: OAuthClient?
    let notBefore: UnixSeconds?
  }

  /// Appends a client, and rows for the bindings of its tokens.
  mutating func append(_ client: Client, bindings: [TokenBinding] = []) {
    // Empty: the name is the id.
    let name = client.name.utf8.elementsEqual(client.id.bytes) ? [] : Array(client.name.utf8)
    var granted: [Int32]?
    if case .only(let indices) = client.instances { granted = indices }
    rows.append(
      Row(
        scopes: client.scopes, textStart: UInt32(texts.count), idLength: UInt8(client.id.bytes.count),
        isRevoked: client.isRevoked, nameLength: UInt16(name.count), defaultInstance: client.defaultInstance ?? -1,
        instanceCount: granted.map { Int32($0.count) } ?? -1, instanceStart: UInt32(instances.count),
        callers: Self.slot(of: client.callers, in: &callers),
        limits: Self.slot(of: client.limits, in: &limits),
        key: client.id.key))
    if client.oauth != nil || client.tokensNotBefore != nil {
      signed[Int32(clientCount)] = SignedGrant(oauth: client.oauth, notBefore: client.tokensNotBefore)
    }
    clientCount += 1
    texts += client.id.bytes
    texts += name
    instances += granted ?? []
    for binding in bindings { append(binding, of: rows[rows.count - 1]) }
  }

  private mutating func append(_ binding: TokenBinding, of client: Row) {
    var row = client
    row.defaultInstance = binding.defaultInstance ?? -1
    if let granted = binding.instances {
      row.instanceCount = Int32(granted.count)
      row.instanceStart = UInt32(instances.count)
      instances += granted
    }
    boundRows.append(row)
  }

  /// Static: a copy of the table would share the array, which would then be copied for each client.
  private static func slot<Value: Equatable>(of value: Value, in values: inout [Value]) -> UInt32 {
    if value == values[0] { return 0 }
    values.append(value)
    return UInt32(values.count - 1)
  }

  // MARK: Rolling back

  /// The sizes of all arrays.
  struct Checkpoint {
    fileprivate let rows: Int
    fileprivate let texts: Int
    fileprivate let instances: Int
    fileprivate let callers: Int
    fileprivate let limits: Int
    fileprivate let boundRows: Int
  }

  var checkpoint: Checkpoint {
    Checkpoint(
      rows: rows.count, texts: texts.count, instances: instances.count, callers: callers.count, limits: limits.count,
      boundRows: boundRows.count)
  }

  /// Removes everything appended since the checkpoint.
  mutating func rollBack(to checkpoint: Checkpoint) {
    rows.removeSubrange(checkpoint.rows...)
    clientCount = checkpoint.rows
    signed = signed.filter { $0.key < Int32(checkpoint.rows) }
    boundRows.removeSubrange(checkpoint.boundRows...)
    texts.removeSubrange(checkpoint.texts...)
    instances.removeSubrange(checkpoint.instances...)
    callers.removeSubrange(checkpoint.callers...)
    limits.removeSubrange(checkpoint.limits...)
  }

  /// A copy with these clients revoked.
  func revoking(_ isRevoked: (ArraySlice<UInt8>) -> Bool) -> ClientTable {
    var table = self
    for index in rows.indices where !rows[index].isRevoked && isRevoked(id(of: index)) {
      table.rows[index].isRevoked = true
    }
    return table
  }

  // MARK: As a collection

  package var startIndex: Int { 0 }
  package var endIndex: Int { clientCount }

  package subscript(index: Int) -> Client {
    let row = rows[index]
    return Client(
      id: ClientID(known: Array(id(of: index))), name: name(of: row), scopes: row.scopes,
      instances: instances(of: index).map(InstanceGrant.only) ?? .all,
      defaultInstance: defaultInstance(of: index), isRevoked: row.isRevoked, callers: callers[Int(row.callers)],
      limits: limits(of: index), oauth: oauth(of: index), tokensNotBefore: tokensNotBefore(of: index))
  }

  /// The index of the client of a row; differs from `row` if that is the row of a binding.
  func owner(of row: Int) -> Int {
    guard row >= clientCount else { return row }
    // Text offsets ascend with the clients, so a binary search finds the client.
    var range = 0..<clientCount
    while range.count > 1 {
      let middle = range.lowerBound + range.count / 2
      range = rows[middle].textStart <= rows[row].textStart ? middle..<range.upperBound : range.lowerBound..<middle
    }
    return range.lowerBound
  }

  /// The instances that it may use, as ascending indices in `Policy.instances`; nil: all.
  package func instances(of index: Int) -> [Int32]? {
    rows[index].instanceCount < 0 ? nil : Array(instances[instanceRange(of: rows[index])])
  }

  private func name(of row: Row) -> String {
    let start = Int(row.textStart)
    let idEnd = start + Int(row.idLength)
    let range = row.nameLength == 0 ? start..<idEnd : idEnd..<idEnd + Int(row.nameLength)
    return String(decoding: texts[range], as: UTF8.self)
  }

  private func instanceRange(of row: Row) -> Range<Int> {
    Int(row.instanceStart)..<Int(row.instanceStart) + Int(row.instanceCount)
  }

  // MARK: One property of one client

  package func id(of index: Int) -> ArraySlice<UInt8> { texts[idRange(of: index)] }

  /// The range of its id in `texts`.
  func idRange(of index: Int) -> Range<Int> {
    let start = Int(rows[index].textStart)
    return start..<start + Int(rows[index].idLength)
  }

  /// Identifies the client in a loop's pools; the same after every reload, never 0.
  ///
  /// A hash of its id. Clients with the same key count as one client for an instance's `limits.share`.
  package func clientKey(of index: Int) -> UInt32 { rows[index].key }

  package func limits(of index: Int) -> ClientLimits { limits[limitsSlot(of: index)] }

  /// The number of the client among those with limits, from 1; 0: it has none.
  package func limitsSlot(of index: Int) -> Int { Int(rows[index].limits) }

  func isRevoked(_ index: Int) -> Bool { rows[index].isRevoked }

  /// nil: it gets no tokens from the token endpoint.
  func oauth(of index: Int) -> OAuthClient? { signed[Int32(index)]?.oauth }

  /// Signed tokens issued before are invalid; nil: none.
  func tokensNotBefore(of index: Int) -> UnixSeconds? { signed[Int32(index)]?.notBefore }

  /// The clients that get tokens from the token endpoint, ascending.
  var indicesWithOAuth: [Int32] { signed.filter { $0.value.oauth != nil }.keys.sorted() }

  func scopes(of index: Int) -> ScopeSet { rows[index].scopes }

  func defaultInstance(of index: Int) -> Int32? {
    let instance = rows[index].defaultInstance
    return instance < 0 ? nil : instance
  }

  @inline(__always)
  func mayUseAllInstances(_ index: Int) -> Bool { rows[index].instanceCount < 0 }

  @inline(__always)
  func mayUse(_ instance: Int32, _ index: Int) -> Bool {
    mayUseAllInstances(index) || isMember(instance, ofAscending: instances, instanceRange(of: rows[index]))
  }

  func callers(of index: Int) -> CallerGrant { callers[Int(rows[index].callers)] }

  /// Checks that a client may call from this address and with this certificate.
  @inline(__always)
  func check(_ caller: Caller, _ index: Int) throws(Rejection) {
    let slot = Int(rows[index].callers)
    if slot > 0 { try callers[slot].check(caller) }
  }

  /// The table without spare capacity, and with the bindings' rows after the clients'.
  consuming func packed() -> ClientTable {
    rows += boundRows
    boundRows = []
    rows = rows.packed()
    texts = texts.packed()
    instances = instances.packed()
    callers = callers.packed()
    limits = limits.packed()
    return self
  }
}

extension ClientID {
  /// A hash of it; never 0.
  fileprivate var key: UInt32 {
    guard let name = PackedBytes(bytes.span) else { preconditionFailure("the id is empty or too long") }
    let hash = name.hash((0x9e37_79b9_7f4a_7c15, 0xcbf2_9ce4_8422_2325))
    return max(1, UInt32(truncatingIfNeeded: hash ^ hash >> 32))
  }
}
