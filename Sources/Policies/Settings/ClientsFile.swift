import Digests

/// Decodes `clients.json` files one after the other into clients and their tokens.
struct ClientsFile {
  static let tokensMax = 1_000_000

  private var instanceIndices: [String: Int32]
  /// Those of the instances that are not unknown, by the bytes of their names.
  private let directory: NameDirectory
  /// The names of all instances, including faulty ones; nil: a file of instances could not be read.
  private let declaredInstances: Set<String>?
  private let suggestions: Suggestions
  private let scopes: [Scope]
  private let scopeDirectory: ScopeDirectory
  private let now: UnixSeconds
  private let revocations: Revocations
  private let hasTokenEndpoint: Bool
  private(set) var clients = ClientTable()
  var tokens: TokenList { bindingCount == 0 ? list : list.bound(after: clients.count) }
  private var list = TokenList()
  private var bindingCount = 0
  /// The field of each token in `list`; nil: the token is from the last good content of a file.
  private var tokenFields: [Field?] = []
  /// Instances that clients name and that a file that could not be read may define. Their indices follow those of the
  /// others.
  private(set) var unknownInstances: [InstanceID] = []
  private var definedNames = DefinedNames()

  init(
    instances: [Instance], declared: Set<String>?, scopes: [Scope], directory scopeNames: ScopeDirectory,
    revocations: Revocations, hasTokenEndpoint: Bool = true, now: UnixSeconds
  ) {
    self.hasTokenEndpoint = hasTokenEndpoint
    self.revocations = revocations
    declaredInstances = declared
    suggestions = Suggestions(among: declared ?? [])
    let pairs = instances.enumerated().map { index, instance in (instance.id.text, Int32(index)) }
    instanceIndices = Dictionary(pairs) { first, _ in first }
    self.directory = NameDirectory(instances.map(\.id.bytes))
    self.scopes = scopes
    scopeDirectory = scopeNames
    self.now = now
  }

  /// The state before a file, to return to if the file is faulty.
  struct Checkpoint {
    fileprivate let clients: ClientTable.Checkpoint
    fileprivate let tokens: Int
    fileprivate let bindings: Int
    fileprivate let names: Int
  }

  var checkpoint: Checkpoint {
    Checkpoint(
      clients: clients.checkpoint, tokens: list.entries.count, bindings: bindingCount, names: definedNames.count)
  }

  /// Removes everything read since the checkpoint.
  mutating func rollBack(to checkpoint: Checkpoint) {
    clients.rollBack(to: checkpoint.clients)
    list.truncate(to: checkpoint.tokens)
    bindingCount = checkpoint.bindings
    tokenFields.removeSubrange(checkpoint.tokens...)
    definedNames.truncate(to: checkpoint.names)
  }

  /// Appends the last good content of a file that is faulty now.
  mutating func appendLastGood(of name: String, file: String, from last: Policy, log: FindingLog) {
    guard let range = last.file(name)?.clients, !range.isEmpty else { return }
    var tokens: [Int: [Int32]] = [:]
    for (index, entry) in last.tokens.entries.enumerated() {
      let owner = last.clients.owner(of: Int(entry.clientIndex))
      if range.contains(owner) { tokens[owner, default: []].append(Int32(index)) }
    }
    for index in range {
      let client = remapped(last.clients[index], from: last)
      definedNames.insertLastGood(client.id.text, of: "client", file: file, log: log)
      var bindings: [TokenBinding] = []
      for token in tokens[index] ?? [] { appendLastGood(token, from: last, &bindings, file: file, log: log) }
      clients.append(client, bindings: bindings)
      bindingCount += bindings.count
    }
  }

  private mutating func appendLastGood(
    _ index: Int32, from last: Policy, _ bindings: inout [TokenBinding], file: String, log: FindingLog
  ) {
    let (entry, note) = (last.tokens.entries[Int(index)], last.tokens.note(of: index))
    let row = Int(entry.clientIndex)
    let isBound = row >= last.clients.count
    let duplicate = list.insert(
      entry.digest, clientIndex: isBound ? ~Int32(bindingCount + bindings.count) : Int32(clients.count),
      expiry: entry.expiry, note: note.isEmpty ? nil : String(decoding: note, as: UTF8.self))
    guard let duplicate else {
      if isBound { bindings.append(remappedBinding(row, from: last)) }
      return tokenFields.append(nil)
    }
    let other =
      tokenFields[duplicate].map { "\($0.file):\($0.node.line) now has, too" } ?? "that of another file has, too"
    log.append(
      Finding(
        .error, file: file, message: "the last good content of this file has a token that \(other); repair this file"),
      isConflict: true)
  }

  private func remappedBinding(_ row: Int, from last: Policy) -> TokenBinding {
    TokenBinding(
      instances: last.clients.instances(of: row)?.compactMap { currentIndex($0, from: last) }.sorted(),
      defaultInstance: last.clients.defaultInstance(of: row).flatMap { currentIndex($0, from: last) })
  }

  /// The current index of an instance of the last policy; nil: it no longer exists.
  private func currentIndex(_ index: Int32, from last: Policy) -> Int32? {
    instanceIndices[last.instances[Int(index)].id.text]
  }

  /// A client of the last policy with the current indices of its instances and scopes, without those that no longer
  /// exist.
  private func remapped(_ client: Client, from last: Policy) -> Client {
    var instances = client.instances
    if case .only(let indices) = instances {
      instances = .only(indices.compactMap { currentIndex($0, from: last) }.sorted())
    }
    var scopes = ScopeSet()
    for (bit, scope) in last.routes.scopes.enumerated() where client.scopes.contains(bit: bit) {
      if let bit = self.scopes.firstIndex(of: scope) { scopes.insert(bit: bit) }
    }
    return Client(
      id: client.id, name: client.name, scopes: client.scopes == .all ? .all : scopes, instances: instances,
      defaultInstance: client.defaultInstance.flatMap { currentIndex($0, from: last) }, isRevoked: client.isRevoked,
      callers: client.callers,
      limits: client.limits, oauth: client.oauth, tokensNotBefore: client.tokensNotBefore)
  }

  mutating func read(_ root: Field) {
    guard let members = root.members(["clients", schemaKey]), let entries = members.required("clients")?.entries()
    else { return }
    members.readSchema()
    definedNames.reserve(entries.count)
    list.reserve(entries.count)
    for entry in entries {
      definedNames.insert(entry.name, entry.field, of: "client")
      var bindings: [TokenBinding] = []
      guard let client = client(entry.name, entry.field, &bindings) else { continue }
      clients.append(client, bindings: bindings)
      bindingCount += bindings.count
    }
  }

  private mutating func client(_ name: String, _ field: Field, _ bindings: inout [TokenBinding]) -> Client? {
    let id = ClientID(name)
    if id == nil { field.error("a client name \(nameRule)") }
    let known = [
      "name", "scopes", "instances", "default_instance", "tokens", "revoked", "networks", "certificates",
      "limits", "oauth", "tokens_not_before",
    ]
    guard let members = field.members(known) else { return nil }
    let scopes = members.required("scopes").flatMap(scopeSet)
    let instances = members.required("instances").flatMap { field in instanceGrant(field) }
    let defaultInstance = members["default_instance"].flatMap { field in self.defaultInstance(field, of: instances) }
    let callers = CallerGrant(
      networks: members["networks"].flatMap(networkGrant) ?? .all,
      certificates: members["certificates"].flatMap(certificates) ?? [])
    let limits = members["limits"].map(ClientLimits.init) ?? ClientLimits()
    var isRevoked = false
    members.read("revoked", into: &isRevoked)
    var context = TokenContext(instances: instances, defaultInstance: defaultInstance)
    for field in members["tokens"]?.elements() ?? [] { readToken(field, in: &context) }
    if !isRevoked, !revocations.clients.contains(name), let field = members["default_instance"] {
      warnOfDefault(field, context)
    }
    bindings = context.bindings
    let oauth = members["oauth"].flatMap { field in
      OAuthClient(field, scopes: members["scopes"], now: now)
    }
    if !hasTokenEndpoint { members["oauth"]?.warning("has no effect without \"oauth\" in gateway.json") }
    let tokensNotBefore = members["tokens_not_before"].flatMap { $0.isNull ? nil : $0.time() }
    let label = members["name"]?.label()
    guard let id, let scopes, let instances else { return nil }
    return Client(
      id: id, name: label ?? name, scopes: scopes, instances: instances, defaultInstance: defaultInstance,
      isRevoked: isRevoked, callers: callers, limits: limits, oauth: oauth, tokensNotBefore: tokensNotBefore)
  }

  /// The scopes of a list; nil: not all of its values are names of scopes that some route requires.
  @_optimize(speed)
  private func knownScopes(_ node: JSONNode) -> ScopeSet? {
    guard case .array(let elements) = node.value else { return nil }
    let bytes = node.document.bytes
    var set = ScopeSet()
    for element in elements {
      guard let name = element.plainString,
        let allowed = scopeDirectory.set(named: bytes.span.extracting(name)), !allowed.isEmpty
      else { return nil }
      set.formUnion(allowed)
    }
    return set
  }

  private func scopeSet(_ field: Field) -> ScopeSet? {
    if let known = knownScopes(field.node) { return known }
    guard let fields = field.elements() else { return nil }
    if fields.contains(where: \.isStar) {
      guard fields.count == 1 else { return field.fail("\"*\" means all scopes and must be the only entry") }
      field.note("grants all scopes, including those of routes added later")
      return .all
    }
    var set = ScopeSet()
    for field in fields {
      guard let text = field.string() else { continue }
      guard let scope = Scope(text) else {
        field.error(scopeRule)
        continue
      }
      guard let allowed = scopeDirectory.set(of: scope) else {
        field.warning("no route requires this scope\(suggestion(for: text, among: scopeDirectory.names))")
        continue
      }
      if allowed.isEmpty { field.warning("no route requires a scope that this alias represents") }
      set.formUnion(allowed)
    }
    return set
  }

  private mutating func instanceGrant(_ field: Field) -> InstanceGrant? {
    if let known = knownInstances(field.node) { return .only(known.ascending()) }
    guard let fields = field.elements() else { return nil }
    if fields.contains(where: \.isStar) {
      guard fields.count == 1 else { return field.fail("\"*\" means all instances and must be the only entry") }
      field.note("grants all instances, including those added later")
      return .all
    }
    var instances: [Int32] = []
    instances.reserveCapacity(fields.count)
    for field in fields { if let index = instance(field) { instances.append(index) } }
    return .only(instances.ascending())
  }

  /// The indices of the instances in a list; nil: not all of its values are names of instances that were read. There can be
  /// very many clients with long lists.
  @_optimize(speed)
  private func knownInstances(_ node: JSONNode) -> [Int32]? {
    let (document, bytes) = (node.document, node.document.bytes)
    guard case .array(let elements) = node.value else { return nil }
    var indices: [Int32] = []
    indices.reserveCapacity(elements.count)
    var element = node.index &+ 1
    while element < Int(document.entries[node.index].next) {
      let start = Int(document.entries[element].start)
      guard bytes[start] == UInt8(ascii: "\""), let name = bytes.plainJSONString(at: start),
        let index = directory.index(of: bytes.span.extracting(name))
      else { return nil }
      indices.append(index)
      element = Int(document.entries[element].next)
    }
    return indices
  }

  private mutating func instance(_ field: Field) -> Int32? {
    guard let text = field.string() else { return nil }
    if let index = instanceIndices[text] { return index }
    // A fault of an instance is reported once, at the instance.
    guard let declaredInstances else { return unknownInstance(text) }
    guard !declaredInstances.contains(text) else { return nil }
    field.conflict("there is no such instance\(suggestions.next(for: text))")
    return nil
  }

  /// The index of an instance that the file that could not be read may define.
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
    guard grant?.contains(index) ?? true else { return field.fail("must be one of \(owner) \"instances\"") }
    return index
  }

  private func networkGrant(_ field: Field) -> NetworkGrant? {
    guard let networks = field.networks() else { return nil }
    guard !networks.isEmpty else {
      return field.fail("an empty list allows no address; remove the key, or set \"revoked\" to true")
    }
    return NetworkGrant(networks)
  }

  private static let certificatesMax = 64

  private func certificates(_ field: Field) -> [Digest]? {
    guard let fields = field.elements() else { return nil }
    guard (1...Self.certificatesMax).contains(fields.count) else {
      return field.fail("must have 1 to \(Self.certificatesMax) certificates; to require none, remove the key")
    }
    return fields.compactMap { field in field.certificateDigest() }
  }

  private mutating func readToken(_ field: Field, in context: inout TokenContext) {
    guard let members = field.members(["sha256", "expires", "note", "instances", "default_instance"]) else { return }
    let expiry = members["expires"].flatMap(expiry)
    let note = members["note"]?.label()
    let binding = binding(members, in: context)
    guard let digestField = members.required("sha256"), let digest = digestField.tokenDigest() else { return }
    let isValid = (expiry.map { $0 > now } ?? true) && !revocations.tokens.contains(digest)
    if binding == nil, context.unbound == nil, isValid { context.unbound = field }
    guard list.entries.count < Self.tokensMax else {
      return field.error("exceeds the limit of \(Self.tokensMax) tokens in all files together")
    }
    let row = binding == nil ? Int32(clients.count) : ~Int32(bindingCount + context.bindings.count)
    guard let duplicate = list.insert(digest, clientIndex: row, expiry: expiry, note: note) else {
      if let binding { context.bindings.append(binding) }
      return tokenFields.append(field)
    }
    guard let first = tokenFields[duplicate] else {
      return digestField.conflict("the last good content of another file has the same token; repair that file")
    }
    guard first.file != field.file else { return digestField.error("is the same token as \(first.keyPath)") }
    digestField.conflict("is the same token as \(first.keyPath) in \(first.file):\(first.node.line)")
  }

  /// The binding of a token; nil: it is not bound.
  private mutating func binding(_ members: Members, in context: TokenContext) -> TokenBinding? {
    guard members["instances"] != nil || members["default_instance"] != nil else { return nil }
    let instances = members["instances"].flatMap { field in boundInstances(field, of: context.instances) }
    let grant = instances.map(InstanceGrant.only) ?? context.instances
    let byDefault: Int32?
    if let field = members["default_instance"] {
      let owner = instances == nil ? "the client's" : "the token's"
      byDefault = defaultInstance(field, of: grant, owner: owner)
    } else if let instances, instances.count == 1 {
      byDefault = instances[0]
    } else {
      byDefault = context.defaultInstance.flatMap { index in grant?.contains(index) ?? true ? index : nil }
    }
    return TokenBinding(instances: instances, defaultInstance: byDefault)
  }

  /// A token's own instances, each of which its client must have.
  private mutating func boundInstances(_ field: Field, of grant: InstanceGrant?) -> [Int32]? {
    guard let fields = field.elements() else { return nil }
    guard !fields.isEmpty else {
      return field.fail("an empty list allows no instance; name instances, or remove the key")
    }
    let instances = fields.compactMap { field -> Int32? in
      if field.isStar { return field.fail("\"*\" is not allowed here; remove the key to allow all of the client's") }
      guard let index = instance(field) else { return nil }
      guard grant?.contains(index) ?? true else {
        let name = field.string() ?? ""
        return field.fail(
          "\"\(name)\" is not one of the client's \"instances\"; a token cannot have more than its client")
      }
      return index
    }
    return instances.ascending()
  }

  /// Some SDKs drop the path of a base URL and with it the instance, so that a call goes to the default instead.
  private func warnOfDefault(_ byDefault: Field, _ context: TokenContext) {
    guard let token = context.unbound, context.defaultInstance != nil, context.mayUseSeveral,
      let name = byDefault.string()
    else { return }
    token.warning(
      "some SDKs drop the path of their base URL, so calls meant for another instance go to the client's "
        + "\"default_instance\" \(name); bind the token to one instance: \"instances\": [\"\(name)\"]")
  }

  private func expiry(_ field: Field) -> UnixSeconds? {
    if field.isNull { return nil }
    guard let expiry = field.time() else { return nil }
    if expiry <= now { field.note("the token has expired") }
    return expiry
  }
}

/// What a client's tokens inherit from it, and what reading them has found.
private struct TokenContext {
  /// nil: they could not be read.
  let instances: InstanceGrant?
  let defaultInstance: Int32?
  /// In the order of the bound tokens.
  var bindings: [TokenBinding] = []
  /// The first valid token without a binding.
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
    let bytes = node.document.bytes
    if let text = node.plainString, let digest = Digest(hex: bytes.span.extracting(text)) { return digest }
    guard let text = string() else { return nil }
    guard let digest = Digest(hex: text) else {
      return fail("must be the 64 hex digits of the token's SHA-256, as `blnk-gateway token hash` prints them")
    }
    return digest
  }

  fileprivate func certificateDigest() -> Digest? {
    guard let text = string() else { return nil }
    guard let digest = Digest(hex: text) else {
      return fail(
        "must be the 64 hex digits of the SHA-256 of a certificate in DER form, as in "
          + "`openssl x509 -in cert.pem -outform DER | sha256sum`")
    }
    return digest
  }

  fileprivate var isStar: Bool {
    let start = node.bytes.lowerBound
    return node.document.bytes[start] == UInt8(ascii: "\"") && node.document.string(at: start, is: "*")
  }
}
