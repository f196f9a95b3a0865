/// All clients in flat arrays, since there can be as many as tokens: about 40 bytes each, their names and grants.
///
/// As a collection it makes a `Client` of each; a request asks for single properties, which allocates nothing. Behind the
/// clients it has one row for each binding of a token: the same client with other instances, for its indices only.
package struct ClientTable: Sendable, RandomAccessCollection {
  private struct Row {
    let scopes: ScopeSet
    /// Where id and name stand in `texts`, one after the other.
    let textStart: UInt32
    let idLength: UInt8
    var isRevoked: Bool
    let nameLength: UInt16
    /// -1: none.
    var defaultInstance: Int32
    /// -1: all instances.
    var instanceCount: Int32
    var instanceStart: UInt32
    /// Slots in the arrays below.
    let networks: UInt32
    let limits: UInt32
    /// Takes up what would else be padding.
    let key: UInt32
  }

  private var rows: [Row] = []
  /// Moved behind the clients' rows once the table is packed.
  private var boundRows: [Row] = []
  private var clientCount = 0
  private(set) var texts: [UInt8] = []
  private var instances: [Int32] = []
  /// The first one is that of most clients, as below.
  private var networks: [NetworkGrant] = [.all]
  private var limits: [ClientLimits] = [ClientLimits()]

  /// Appends a client, and rows for the bindings of its tokens.
  mutating func append(_ client: Client, bindings: [TokenBinding] = []) {
    // A name that is not given is the id.
    let name = client.name.utf8.elementsEqual(client.id.bytes) ? [] : Array(client.name.utf8)
    var granted: [Int32]?
    if case .only(let places) = client.instances { granted = places }
    rows.append(
      Row(
        scopes: client.scopes, textStart: UInt32(texts.count), idLength: UInt8(client.id.bytes.count),
        isRevoked: client.isRevoked, nameLength: UInt16(name.count), defaultInstance: client.defaultInstance ?? -1,
        instanceCount: granted.map { Int32($0.count) } ?? -1, instanceStart: UInt32(instances.count),
        networks: slot(of: client.networks, in: &networks), limits: slot(of: client.limits, in: &limits),
        key: client.id.key))
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

  private func slot<Value: Equatable>(of value: Value, in values: inout [Value]) -> UInt32 {
    if value == values[0] { return 0 }
    values.append(value)
    return UInt32(values.count - 1)
  }

  // MARK: Taking back

  /// How much there is of everything.
  struct Mark {
    fileprivate let rows: Int
    fileprivate let texts: Int
    fileprivate let instances: Int
    fileprivate let networks: Int
    fileprivate let limits: Int
    fileprivate let boundRows: Int
  }

  var mark: Mark {
    Mark(
      rows: rows.count, texts: texts.count, instances: instances.count, networks: networks.count, limits: limits.count,
      boundRows: boundRows.count)
  }

  /// Forgets all that was appended since.
  mutating func truncate(to mark: Mark) {
    rows.removeSubrange(mark.rows...)
    clientCount = mark.rows
    boundRows.removeSubrange(mark.boundRows...)
    texts.removeSubrange(mark.texts...)
    instances.removeSubrange(mark.instances...)
    networks.removeSubrange(mark.networks...)
    limits.removeSubrange(mark.limits...)
  }

  /// The same with these clients revoked.
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
      defaultInstance: defaultInstance(of: index), isRevoked: row.isRevoked, networks: networks[Int(row.networks)],
      limits: limits(of: index))
  }

  /// The client that a row is of, which may be that of a binding behind the clients.
  func owner(of row: Int) -> Int {
    guard row >= clientCount else { return row }
    // Each client's text begins behind that of the one before.
    var range = 0..<clientCount
    while range.count > 1 {
      let middle = range.lowerBound + range.count / 2
      range = rows[middle].textStart <= rows[row].textStart ? middle..<range.upperBound : range.lowerBound..<middle
    }
    return range.lowerBound
  }

  /// The places in `Policy.instances` that it may use, ascending; nil: all.
  package func instances(of index: Int) -> [Int32]? {
    rows[index].instanceCount < 0 ? nil : Array(instances[places(of: rows[index])])
  }

  private func name(of row: Row) -> String {
    let start = Int(row.textStart)
    let idEnd = start + Int(row.idLength)
    let range = row.nameLength == 0 ? start..<idEnd : idEnd..<idEnd + Int(row.nameLength)
    return String(decoding: texts[range], as: UTF8.self)
  }

  private func places(of row: Row) -> Range<Int> {
    Int(row.instanceStart)..<Int(row.instanceStart) + Int(row.instanceCount)
  }

  // MARK: One property of one client

  package func id(of index: Int) -> ArraySlice<UInt8> { texts[idRange(of: index)] }

  /// Where its id stands in `texts`.
  func idRange(of index: Int) -> Range<Int> {
    let start = Int(rows[index].textStart)
    return start..<start + Int(rows[index].idLength)
  }

  /// Names the client in a loop's pools: the same after every reload, never 0.
  ///
  /// A hash of its id. Two clients may share one, and then share what is one client's part of an instance.
  package func clientKey(of index: Int) -> UInt32 { rows[index].key }

  package func limits(of index: Int) -> ClientLimits { limits[limitsSlot(of: index)] }

  /// Counts the clients with limits from 1; 0: none.
  package func limitsSlot(of index: Int) -> Int { Int(rows[index].limits) }

  func isRevoked(_ index: Int) -> Bool { rows[index].isRevoked }

  func scopes(of index: Int) -> ScopeSet { rows[index].scopes }

  func defaultInstance(of index: Int) -> Int32? {
    let place = rows[index].defaultInstance
    return place < 0 ? nil : place
  }

  @inline(__always)
  func mayUseAllInstances(_ index: Int) -> Bool { rows[index].instanceCount < 0 }

  @inline(__always)
  func mayUse(_ instance: Int32, _ index: Int) -> Bool {
    mayUseAllInstances(index) || isMember(instance, ofAscending: instances, places(of: rows[index]))
  }

  func mayCall(from peer: PeerAddress, _ index: Int) -> Bool { networks[Int(rows[index].networks)].contains(peer) }

  /// The same without room to grow, and with all its rows in their places.
  consuming func packed() -> ClientTable {
    rows += boundRows
    boundRows = []
    rows = rows.packed()
    texts = texts.packed()
    instances = instances.packed()
    networks = networks.packed()
    limits = limits.packed()
    return self
  }
}

extension ClientID {
  /// A hash of it; never 0.
  fileprivate var key: UInt32 {
    guard let name = PackedBytes(bytes.span) else { preconditionFailure("an id that is too long or empty") }
    let hash = name.hash((0x9e37_79b9_7f4a_7c15, 0xcbf2_9ce4_8422_2325))
    return max(1, UInt32(truncatingIfNeeded: hash ^ hash >> 32))
  }
}
