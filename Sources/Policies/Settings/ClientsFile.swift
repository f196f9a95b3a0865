import Digests

/// Decodes `clients.json` files one after the other into clients and their tokens.
struct ClientsFile {
  static let tokensMax = 1_000_000

  private let instanceIndices: [String: Int32]
  /// The names of all entries of instances.json, faulty ones too; nil if it could not be read.
  private let declaredInstances: Set<String>?
  private let suggestions: Suggestions
  private let scopes: [Scope]
  private let now: UnixSeconds
  private(set) var clients = ClientTable()
  private(set) var tokens = TokenList()
  /// Where each of `tokens` stands.
  private var tokenFields: [Field] = []
  private var places = EntryPlaces()

  init(instances: [Instance], declared: Set<String>?, scopes: [Scope], now: UnixSeconds) {
    declaredInstances = declared
    suggestions = Suggestions(among: declared ?? [])
    let pairs = instances.enumerated().map { index, instance in (instance.id.text, Int32(index)) }
    instanceIndices = Dictionary(pairs) { first, _ in first }
    self.scopes = scopes
    self.now = now
  }

  mutating func read(_ root: Field) {
    guard let members = root.members(["clients", schemaKey]), let entries = members.required("clients")?.entries()
    else { return }
    members.readSchema()
    for entry in entries {
      places.note(entry.name, entry.field, of: "client")
      let index = Int32(clients.count)
      if let client = client(entry.name, entry.field, index: index) { clients.append(client) }
    }
  }

  private mutating func client(_ name: String, _ field: Field, index: Int32) -> Client? {
    let id = ClientID(name)
    if id == nil { field.error("the name of a client \(nameRule)") }
    let known = ["name", "scopes", "instances", "default_instance", "tokens", "revoked", "networks", "limits"]
    guard let members = field.members(known) else { return nil }
    let scopes = members.required("scopes").flatMap(scopeSet)
    let instances = members.required("instances").flatMap(instanceGrant)
    let defaultInstance = members["default_instance"].flatMap { field in self.defaultInstance(field, of: instances) }
    let networks = members["networks"].flatMap(networkGrant) ?? .all
    let limits = members["limits"].map(ClientLimits.init) ?? ClientLimits()
    var isRevoked = false
    members.read("revoked", into: &isRevoked)
    for field in members["tokens"]?.elements() ?? [] { readToken(field, clientIndex: index) }
    let label = members["name"]?.label()
    guard let id, let scopes, let instances else { return nil }
    return Client(
      id: id, name: label ?? name, scopes: scopes, instances: instances, defaultInstance: defaultInstance,
      isRevoked: isRevoked, networks: networks, limits: limits)
  }

  private func scopeSet(_ field: Field) -> ScopeSet? {
    guard let fields = field.elements() else { return nil }
    if fields.contains(where: \.isStar) {
      guard fields.count == 1 else { return field.refused("\"*\" stands for all scopes and stands alone") }
      field.remark("grants every scope, those of routes to come, too")
      return .all
    }
    var set = ScopeSet()
    for field in fields {
      guard let text = field.string() else { continue }
      guard let scope = Scope(text) else {
        field.error(scopeRule)
        continue
      }
      guard let bit = scopes.firstIndex(of: scope) else {
        field.warning("no route asks for this scope\(suggestion(for: text, among: scopes.map(\.text)))")
        continue
      }
      set.insert(bit: bit)
    }
    return set
  }

  private func instanceGrant(_ field: Field) -> InstanceGrant? {
    guard let fields = field.elements() else { return nil }
    if fields.contains(where: \.isStar) {
      guard fields.count == 1 else { return field.refused("\"*\" stands for all instances and stands alone") }
      field.remark("grants every instance, those to come, too")
      return .all
    }
    return .only(Set(fields.compactMap(instance)).sorted())
  }

  private func instance(_ field: Field) -> Int32? {
    guard let text = field.string() else { return nil }
    if let index = instanceIndices[text] { return index }
    // What is wrong with an instance is said once, where the instance stands.
    guard let declaredInstances, !declaredInstances.contains(text) else { return nil }
    return field.refused("there is no such instance\(suggestions.next(for: text))")
  }

  private func defaultInstance(_ field: Field, of grant: InstanceGrant?) -> Int32? {
    guard !field.isNull, let index = instance(field) else { return nil }
    guard grant?.contains(index) ?? true else { return field.refused("must be one of the client's \"instances\"") }
    return index
  }

  private func networkGrant(_ field: Field) -> NetworkGrant? {
    guard let networks = field.networks() else { return nil }
    guard !networks.isEmpty else {
      return field.refused("an empty list lets nobody in; leave the key out, or set \"revoked\" to true")
    }
    return NetworkGrant(networks)
  }

  private mutating func readToken(_ field: Field, clientIndex: Int32) {
    guard let members = field.members(["sha256", "expires", "note"]) else { return }
    let expiry = members["expires"].flatMap(expiry)
    let note = members["note"]?.label()
    guard let digestField = members.required("sha256"), let digest = digest(digestField) else { return }
    guard tokens.entries.count < Self.tokensMax else { return field.error("has more than \(Self.tokensMax) tokens") }
    guard let first = tokens.insert(digest, clientIndex: clientIndex, expiry: expiry, note: note) else {
      return tokenFields.append(field)
    }
    let place = tokenFields[first]
    let file = place.file == field.file ? "" : " in \(place.file):\(place.node.line)"
    digestField.error("the same token as \(place.keyPath)\(file)")
  }

  private func digest(_ field: Field) -> Digest? {
    guard let text = field.string() else { return nil }
    guard let digest = Digest(hex: text) else {
      return field.refused("must be the 64 hex digits of the token's SHA-256 (`blnk-gateway token hash`)")
    }
    return digest
  }

  private func expiry(_ field: Field) -> UnixSeconds? {
    if field.isNull { return nil }
    guard let text = field.string() else { return nil }
    guard let expiry = UnixSeconds(rfc3339: text) else {
      return field.refused("must be a time such as 2027-01-01T00:00:00Z (RFC 3339)")
    }
    if expiry <= now { field.warning("the token has expired") }
    return expiry
  }
}

extension Field {
  fileprivate var isStar: Bool {
    if case .string("*") = node.value { return true }
    return false
  }
}
