import Digests

/// Decodes `clients.json` files one after the other into clients and their tokens.
struct ClientsFile {
  static let tokensMax = 1_000_000

  private var instanceIndices: [String: Int32]
  /// The names of all entries of instances.json, faulty ones too; nil if it could not be read.
  private let declaredInstances: Set<String>?
  private let suggestions: Suggestions
  private let scopes: [Scope]
  private let now: UnixSeconds
  private let revocations: Revocations
  private(set) var clients = ClientTable()
  var tokens: TokenList { bindingCount == 0 ? list : list.bound(behind: clients.count) }
  private var list = TokenList()
  private var bindingCount = 0
  /// Where each token of `list` stands; nil: in a file whose last good content is in force.
  private var tokenFields: [Field?] = []
  /// Instances that clients name and nobody knows, since a file of instances could not be read; their indices follow
  /// those of the others.
  private(set) var unknownInstances: [InstanceID] = []
  private var places = EntryPlaces()

  init(
    instances: [Instance], declared: Set<String>?, scopes: [Scope], revocations: Revocations, now: UnixSeconds
  ) {
    self.revocations = revocations
    declaredInstances = declared
    suggestions = Suggestions(among: declared ?? [])
    let pairs = instances.enumerated().map { index, instance in (instance.id.text, Int32(index)) }
    instanceIndices = Dictionary(pairs) { first, _ in first }
    self.scopes = scopes
    self.now = now
  }

  /// What a file that turns out to be faulty takes with it.
  struct Mark {
    fileprivate let clients: ClientTable.Mark
    fileprivate let tokens: Int
    fileprivate let bindings: Int
    fileprivate let places: Int
  }

  var mark: Mark {
    Mark(clients: clients.mark, tokens: list.entries.count, bindings: bindingCount, places: places.count)
  }

  /// Forgets all that was read since.
  mutating func truncate(to mark: Mark) {
    clients.truncate(to: mark.clients)
    list.truncate(to: mark.tokens)
    bindingCount = mark.bindings
    tokenFields.removeSubrange(mark.tokens...)
    places.truncate(to: mark.places)
  }

  /// Takes over what was in force of a file that is faulty now.
  mutating func keep(_ file: String, _ name: String, of last: Policy, log: FindingLog) {
    guard let range = last.file(name)?.clients, !range.isEmpty else { return }
    var tokens: [Int: [Int32]] = [:]
    for (index, entry) in last.tokens.entries.enumerated() {
      let owner = last.clients.owner(of: Int(entry.clientIndex))
      if range.contains(owner) { tokens[owner, default: []].append(Int32(index)) }
    }
    for index in range {
      let client = carried(last.clients[index], from: last)
      places.keep(client.id.text, of: "client", file: file, log: log)
      var bindings: [TokenBinding] = []
      for token in tokens[index] ?? [] { keep(token, of: last, &bindings, file: file, log: log) }
      clients.append(client, bindings: bindings)
      bindingCount += bindings.count
    }
  }

  private mutating func keep(
    _ index: Int32, of last: Policy, _ bindings: inout [TokenBinding], file: String, log: FindingLog
  ) {
    let (entry, note) = (last.tokens.entries[Int(index)], last.tokens.note(of: index))
    let row = Int(entry.clientIndex)
    let isBound = row >= last.clients.count
    let clash = list.insert(
      entry.digest, clientIndex: isBound ? ~Int32(bindingCount + bindings.count) : Int32(clients.count),
      expiry: entry.expiry, note: note.isEmpty ? nil : String(decoding: note, as: UTF8.self))
    guard let clash else {
      if isBound { bindings.append(carriedBinding(row, from: last)) }
      return tokenFields.append(nil)
    }
    let other =
      tokenFields[clash].map { " is now in \($0.file):\($0.node.line), too" } ?? " stands in another such file"
    log.append(
      Finding(.error, file: file, message: "a token of its last good content\(other); repair the file"), isClash: true)
  }

  private func carriedBinding(_ row: Int, from last: Policy) -> TokenBinding {
    TokenBinding(
      instances: last.clients.instances(of: row)?.compactMap { present($0, of: last) }.sorted(),
      defaultInstance: last.clients.defaultInstance(of: row).flatMap { present($0, of: last) })
  }

  private func present(_ index: Int32, of last: Policy) -> Int32? {
    instanceIndices[last.instances[Int(index)].id.text]
  }

  /// The client in terms of the present instances and routes; what they no longer have is left out.
  private func carried(_ client: Client, from last: Policy) -> Client {
    var instances = client.instances
    if case .only(let indices) = instances { instances = .only(indices.compactMap { present($0, of: last) }.sorted()) }
    var scopes = ScopeSet()
    for (bit, scope) in last.routes.scopes.enumerated() where client.scopes.contains(bit: bit) {
      if let bit = self.scopes.firstIndex(of: scope) { scopes.insert(bit: bit) }
    }
    return Client(
      id: client.id, name: client.name, scopes: client.scopes == .all ? .all : scopes, instances: instances,
      defaultInstance: client.defaultInstance.flatMap { present($0, of: last) }, isRevoked: client.isRevoked,
      networks: client.networks,
      limits: client.limits)
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
    let instances = members.required("instances").flatMap { field in instanceGrant(field) }
    let defaultInstance = members["default_instance"].flatMap { field in self.defaultInstance(field, of: instances) }
    let networks = members["networks"].flatMap(networkGrant) ?? .all
    let limits = members["limits"].map(ClientLimits.init) ?? ClientLimits()
    var isRevoked = false
    members.read("revoked", into: &isRevoked)
    var holder = TokenHolder(instances: instances, defaultInstance: defaultInstance)
    for field in members["tokens"]?.elements() ?? [] { readToken(field, of: &holder) }
    if !isRevoked, !revocations.clients.contains(name), let field = members["default_instance"] {
      warnOfDefault(field, holder)
    }
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

  private mutating func instanceGrant(_ field: Field) -> InstanceGrant? {
    guard let fields = field.elements() else { return nil }
    if fields.contains(where: \.isStar) {
      guard fields.count == 1 else { return field.refused("\"*\" stands for all instances and stands alone") }
      field.remark("grants every instance, those to come, too")
      return .all
    }
    return .only(Set(fields.compactMap { field in instance(field) }).sorted())
  }

  private mutating func instance(_ field: Field) -> Int32? {
    guard let text = field.string() else { return nil }
    if let index = instanceIndices[text] { return index }
    // What is wrong with an instance is said once, where the instance stands.
    guard let declaredInstances else { return unknownInstance(text) }
    guard !declaredInstances.contains(text) else { return nil }
    field.clash("there is no such instance\(suggestions.next(for: text))")
    return nil
  }

  /// Perhaps it stands in the file that could not be read.
  private mutating func unknownInstance(_ name: String) -> Int32? {
    guard let id = InstanceID(name) else { return nil }
    let index = Int32(instanceIndices.count)
    instanceIndices[name] = index
    unknownInstances.append(id)
    return index
  }

  private mutating func defaultInstance(
    _ field: Field, of grant: InstanceGrant?, owner: String = "the client's"
  ) -> Int32? {
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
    guard let digestField = members.required("sha256"), let digest = digestField.tokenDigest() else { return }
    let isInForce = (expiry.map { $0 > now } ?? true) && !revocations.tokens.contains(digest)
    if binding == nil, holder.unbound == nil, isInForce { holder.unbound = field }
    guard list.entries.count < Self.tokensMax else { return field.error("has more than \(Self.tokensMax) tokens") }
    let row = binding == nil ? Int32(clients.count) : ~Int32(bindingCount + holder.bindings.count)
    guard let first = list.insert(digest, clientIndex: row, expiry: expiry, note: note) else {
      if let binding { holder.bindings.append(binding) }
      return tokenFields.append(field)
    }
    guard let place = tokenFields[first] else {
      return digestField.clash(
        "the same token as in a file of which the last good content is in force; repair that file")
    }
    guard place.file != field.file else { return digestField.error("the same token as \(place.keyPath)") }
    digestField.clash("the same token as \(place.keyPath) in \(place.file):\(place.node.line)")
  }

  /// What a token is bound to; nil for one that is not.
  private mutating func binding(_ members: Members, of holder: TokenHolder) -> TokenBinding? {
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
  private mutating func boundInstances(_ field: Field, of grant: InstanceGrant?) -> [Int32]? {
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

  private func expiry(_ field: Field) -> UnixSeconds? {
    if field.isNull { return nil }
    guard let text = field.string() else { return nil }
    guard let expiry = UnixSeconds(rfc3339: text) else {
      return field.refused("must be a time such as 2027-01-01T00:00:00Z (RFC 3339)")
    }
    if expiry <= now { field.remark("the token has expired") }
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
  func tokenDigest() -> Digest? {
    guard let text = string() else { return nil }
    guard let digest = Digest(hex: text) else {
      return refused("must be the 64 hex digits of the token's SHA-256 (`blnk-gateway token hash`)")
    }
    return digest
  }

  fileprivate var isStar: Bool {
    if case .string("*") = node.value { return true }
    return false
  }
}
