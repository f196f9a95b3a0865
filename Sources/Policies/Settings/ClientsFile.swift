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
  var tokens: TokenList { bindingCount == 0 ? list : list.bound(behind: clients.count) }
  private var list = TokenList()
  private var bindingCount = 0
  /// Where each token of `list` stands.
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
      var bindings: [TokenBinding] = []
      guard let client = client(entry.name, entry.field, &bindings) else { continue }
      clients.append(client, bindings: bindings)
      bindingCount += bindings.count
    }
  }

  private mutating func client(_ name: String, _ field: Field, _ bindings: inout [TokenBinding]) -> Client? {
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
    var holder = TokenHolder(instances: instances, defaultInstance: defaultInstance)
    for field in members["tokens"]?.elements() ?? [] { readToken(field, of: &holder) }
    if !isRevoked, let field = members["default_instance"] { warnOfDefault(field, holder) }
    bindings = holder.bindings
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

  private func defaultInstance(_ field: Field, of grant: InstanceGrant?, owner: String = "the client's") -> Int32? {
    guard !field.isNull, let index = instance(field) else { return nil }
    guard grant?.contains(index) ?? true else { return field.refused("must be one of \(owner) \"instances\"") }
    return index
  }

  private func networkGrant(_ field: Field) -> NetworkGrant? {
    guard let networks = field.networks() else { return nil }
    guard !networks.isEmpty else {
      return field.refused("an empty list lets nobody in; leave the key out, or set \"revoked\" to true")
    }
    return NetworkGrant(networks)
  }

  private mutating func readToken(_ field: Field, of holder: inout TokenHolder) {
    guard let members = field.members(["sha256", "expires", "note", "instances", "default_instance"]) else { return }
    let expiry = members["expires"].flatMap(expiry)
    let note = members["note"]?.label()
    let binding = binding(members, of: holder)
    if binding == nil, holder.unbound == nil, expiry.map({ $0 > now }) ?? true { holder.unbound = field }
    guard let digestField = members.required("sha256"), let digest = digest(digestField) else { return }
    guard list.entries.count < Self.tokensMax else { return field.error("has more than \(Self.tokensMax) tokens") }
    let row = binding == nil ? Int32(clients.count) : ~Int32(bindingCount + holder.bindings.count)
    guard let first = list.insert(digest, clientIndex: row, expiry: expiry, note: note) else {
      if let binding { holder.bindings.append(binding) }
      return tokenFields.append(field)
    }
    let place = tokenFields[first]
    let file = place.file == field.file ? "" : " in \(place.file):\(place.node.line)"
    digestField.error("the same token as \(place.keyPath)\(file)")
  }

  /// What a token is bound to; nil for one that is not.
  private func binding(_ members: Members, of holder: TokenHolder) -> TokenBinding? {
    guard members["instances"] != nil || members["default_instance"] != nil else { return nil }
    let instances = members["instances"].flatMap { field in boundInstances(field, of: holder.instances) }
    let grant = instances.map(InstanceGrant.only) ?? holder.instances
    let byDefault: Int32?
    if let field = members["default_instance"] {
      let owner = instances == nil ? "the client's" : "the token's"
      byDefault = defaultInstance(field, of: grant, owner: owner)
    } else if let instances, instances.count == 1 {
      byDefault = instances[0]
    } else {
      byDefault = holder.defaultInstance.flatMap { index in grant?.contains(index) ?? true ? index : nil }
    }
    return TokenBinding(instances: instances, defaultInstance: byDefault)
  }

  /// A part of the client's instances, each named.
  private func boundInstances(_ field: Field, of grant: InstanceGrant?) -> [Int32]? {
    guard let fields = field.elements() else { return nil }
    guard !fields.isEmpty else {
      return field.refused("an empty list lets the token in nowhere; name instances, or leave the key out")
    }
    let instances = fields.compactMap { field -> Int32? in
      if field.isStar { return field.refused("a token names its instances; leave the key out for all the client's") }
      guard let index = instance(field) else { return nil }
      guard grant?.contains(index) ?? true else {
        let name = field.string() ?? ""
        return field.refused(
          "\"\(name)\" is not among the client's own \"instances\"; a token has no more than its client")
      }
      return index
    }
    return Set(instances).sorted()
  }

  /// Some SDKs drop the path of a base URL, and with it the instance; what they meant is then not where it goes.
  private func warnOfDefault(_ byDefault: Field, _ holder: TokenHolder) {
    guard let token = holder.unbound, holder.defaultInstance != nil, holder.mayUseSeveral,
      let name = byDefault.string()
    else { return }
    token.warning(
      "its calls that name no instance go to the client's \"default_instance\" \(name), even if the base URL of an SDK "
        + "names another one, since some SDKs drop its path; bind the token to one instance: \"instances\": [\"\(name)\"]"
    )
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

/// What the tokens of a client have of it, and what was found among them.
private struct TokenHolder {
  /// nil: they cannot be read.
  let instances: InstanceGrant?
  let defaultInstance: Int32?
  /// In the order of the tokens that are bound.
  var bindings: [TokenBinding] = []
  /// The first token in force that is not.
  var unbound: Field?

  var mayUseSeveral: Bool {
    switch instances {
    case nil: false
    case .all: true
    case .only(let instances): instances.count > 1
    }
  }
}

extension Field {
  fileprivate var isStar: Bool {
    if case .string("*") = node.value { return true }
    return false
  }
}
