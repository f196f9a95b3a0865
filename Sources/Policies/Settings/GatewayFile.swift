extension AdminSettings {
  /// Reads gateway.json only, so that faults of other files do not matter; nil: off, or gateway.json is faulty.
  package init?(in folder: PolicyFolder) {
    guard let admin = GatewaySettings(in: folder).admin else { return nil }
    self = admin
  }
}

extension GatewaySettings {
  /// Reads gateway.json only, so that faults of other files do not matter; faulty parts have their defaults.
  package init(in folder: PolicyFolder) {
    let (reading, log) = (FolderReading(folder), FindingLog())
    let file = GatewayFile(reading: reading, stateFolder: folder.stateFolder)
    self = reading.root(of: "gateway.json", log: log).map(file.settings) ?? GatewaySettings()
  }
}

/// Decodes `gateway.json`; every key has a default.
struct GatewayFile {
  let reading: FolderReading
  /// Relative paths of logs are relative to it.
  let stateFolder: String

  func settings(_ root: Field) -> GatewaySettings {
    var settings = GatewaySettings()
    let known = [
      "listen", "admin", "loops", "trusted_proxies", "access_log", "audit_log", "audit_key", "watch",
      "health_on_listen", "metrics", "scope_aliases", "oauth", "introspection", "idempotency", "limits", "timeouts",
      schemaKey,
    ]
    guard let members = root.members(known) else { return settings }
    members.readSchema()
    if let field = members["listen"], let listeners = listeners(field) {
      settings.listeners = listeners
      noteFamilies(of: listeners, field)
    }
    if let field = members["admin"] { settings.admin = admin(field) }
    members.read("loops", in: 0...256, into: &settings.loops)
    if let networks = members["trusted_proxies"]?.networks() { settings.trustedProxies = networks }
    if let field = members["listen"] { checkTrust(settings.listeners, settings, field) }
    if let field = members["access_log"] { settings.accessLog = log(field, allowsStandardOutput: true) }
    if let field = members["audit_log"] { settings.auditLog = log(field, allowsStandardOutput: false) }
    if let field = members["audit_key"], !field.isNull { settings.auditKey = field.secret(in: reading) }
    members.read("watch", into: &settings.watchesFolder)
    members.read("health_on_listen", into: &settings.answersHealthOnListeners)
    members["metrics"]?.members(["by_client"])?.read("by_client", into: &settings.countsClients)
    if let field = members["scope_aliases"] { settings.scopeAliases = scopeAliases(field) }
    if let field = members["oauth"], !field.isNull { settings.oauth = OAuthSettings(field, in: reading) }
    if let field = members["introspection"], !field.isNull {
      settings.introspection = [IntrospectionProvider](field, in: reading)
    }
    if let field = members["idempotency"], !field.isNull {
      settings.idempotency = IdempotencySettings(field, in: reading, stateFolder: stateFolder, besides: settings)
    }
    if let field = members["limits"] { settings.limits = GatewayLimits(field) }
    if let field = members["timeouts"] { settings.timeouts = GatewayTimeouts(field) }
    checkAudit(members)
    if let key = settings.auditKey { settings.oauth?.checkKeys(against: key, "\"audit_key\"", root) }
    if let token = settings.admin?.token { settings.oauth?.checkKeys(against: token, "the admin token", root) }
    return settings
  }

  private func listeners(_ field: Field) -> [Listener]? {
    guard case .array = field.node.value else { return listener(field).map { listener in [listener] } }
    guard let fields = field.elements() else { return nil }
    guard (1...16).contains(fields.count) else { return field.fail("must have 1 to 16 addresses") }
    var listeners: [Listener] = []
    for field in fields {
      guard let listener = listener(field) else { continue }
      let isRepeated = listeners.contains { other in other.address == listener.address && !listener.address.isAnyPort }
      if isRepeated { field.error("duplicate address") }
      listeners.append(listener)
    }
    return listeners
  }

  /// `[::]` alone accepts no IPv4, unlike in many other servers.
  private func noteFamilies(of listeners: [Listener], _ field: Field) {
    for listener in listeners {
      guard case .ip(_, let port) = listener.address, let note = listener.address.familyNote else { continue }
      let hasIPv4 = listeners.contains { $0.address == .ip(IPAddress(ipv4: 0), port: port) }
      if !hasIPv4 { field.note(note) }
    }
  }

  private func listener(_ field: Field) -> Listener? {
    guard case .object = field.node.value else { return field.listenAddress().map { Listener(address: $0) } }
    guard let members = field.members(["address", "trusts", "certificate_header", "mode", "group"]),
      let address = members.required("address")?.listenAddress()
    else { return nil }
    var listener = Listener(address: address)
    if let trust = trust(members) { listener.trust = trust }
    listener.mode = members["mode"]?.fileMode()
    listener.group = members["group"]?.group()
    guard case .unix = address else {
      for key in ["mode", "group"] { members[key]?.error("applies to Unix sockets only; remove it") }
      return listener
    }
    return listener
  }

  private func trust(_ members: Members) -> FrontTrust? {
    let header = members["certificate_header"]
    let word = members["trusts"]?.string()
    switch word ?? "nothing" {
    case "forwarded":
      guard let header else { return .forwarded(certificateField: nil) }
      return header.certificateField().map { .forwarded(certificateField: $0) }
    case "nothing", "proxy_protocol":
      header?.error("needs \"trusts\": \"forwarded\"; set that, or remove this key")
      return word == "proxy_protocol" ? .proxyProtocol : .nothing
    default:
      return members["trusts"]?.fail("must be \"nothing\", \"forwarded\" or \"proxy_protocol\"")
    }
  }

  /// Without proxies to trust, a TCP listener would believe no one.
  private func checkTrust(_ listeners: [Listener], _ settings: GatewaySettings, _ field: Field) {
    for listener in listeners {
      guard case .ip = listener.address, settings.trustedProxies.isEmpty else { continue }
      switch listener.trust {
      case .nothing: break
      case .forwarded: field.warning("\(listener.address) trusts no peer: list its proxies in \"trusted_proxies\"")
      case .proxyProtocol:
        field.error("\(listener.address) accepts connections only from \"trusted_proxies\": list its proxies there")
      }
    }
  }

  private func admin(_ field: Field) -> AdminSettings? {
    if field.isNull { return nil }
    guard case .object = field.node.value else {
      return field.listenAddress().flatMap { checked(AdminSettings(address: $0), field) }
    }
    guard let members = field.members(["address", "token", "hosts"]),
      let address = members.required("address")?.listenAddress()
    else { return nil }
    let hosts = members["hosts"].flatMap(hosts) ?? []
    guard let token = members["token"] else { return checked(AdminSettings(address: address, hosts: hosts), field) }
    // If the token cannot be read, `secret` has recorded why.
    return token.secret(in: reading).map { AdminSettings(address: address, token: $0, hosts: hosts) }
  }

  private func hosts(_ field: Field) -> [String]? {
    guard let fields = field.elements() else { return nil }
    guard fields.count <= Self.hostsMax else { return field.fail("must have at most \(Self.hostsMax) names") }
    return fields.compactMap { field in field.host() }
  }

  private static let hostsMax = 64

  private func checked(_ settings: AdminSettings, _ field: Field) -> AdminSettings? {
    settings.address.isLocal ? settings : field.fail(settings.missingTokenMessage)
  }

  private func log(_ field: Field, allowsStandardOutput: Bool) -> LogDestination? {
    if field.isNull { return nil }
    guard let text = field.label(byteCountMax: 4096) else { return nil }
    if text == "-" {
      return allowsStandardOutput ? .standardOutput : field.fail("must be a file path or null")
    }
    let path = resolved(text, in: stateFolder)
    // Each line of a log in the folder would cause a reload, and anyone who can read the policy could read the log.
    guard !isWithin(path, reading.folder.path) else {
      return field.fail("must not be inside the policy folder; use a path outside it or another --state folder")
    }
    return .file(path: path)
  }

  private func scopeAliases(_ field: Field) -> [ScopeAlias] {
    guard let entries = field.entries() else { return [] }
    guard entries.count <= Self.scopeAliasesMax else {
      field.error("must have at most \(Self.scopeAliasesMax) aliases")
      return []
    }
    let names = Set(entries.map(\.name))
    return entries.compactMap { name, field in
      let alias = Scope(name)
      if alias == nil { field.error("an alias \(scopeRule)") }
      guard let fields = field.elements() else { return nil }
      if fields.isEmpty { field.error("must have at least one scope") }
      let scopes = fields.compactMap { field -> Scope? in
        guard let text = field.string() else { return nil }
        guard let scope = Scope(text) else { return field.fail(scopeRule) }
        guard !names.contains(text) else { return field.fail("is an alias itself; name the scopes of routes") }
        return scope
      }
      return alias.map { ScopeAlias(name: $0, scopes: scopes) }
    }
  }

  private static let scopeAliasesMax = 64

  private func checkAudit(_ members: Members) {
    if let log = members["audit_log"], !log.isNull, members["audit_key"].map(\.isNull) ?? true {
      log.warning("without \"audit_key\", the hash chain detects accidental damage but not forgery")
    }
    if let key = members["audit_key"], !key.isNull, members["audit_log"].map(\.isNull) ?? true {
      key.warning("has no effect without \"audit_log\"")
    }
  }
}

extension ListenAddress {
  fileprivate var isAnyPort: Bool {
    if case .ip(_, port: 0) = self { return true }
    return false
  }
}

extension Field {
  /// Three octal digits, with or without a leading zero.
  fileprivate func fileMode() -> UInt32? {
    guard let text = string() else { return nil }
    guard (3...4).contains(text.utf8.count), text.utf8.count == 3 || text.hasPrefix("0"),
      let mode = UInt32(text, radix: 8),
      text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) })
    else { return fail("must be file permissions in octal, such as \"0660\"") }
    return mode
  }

  fileprivate func certificateField() -> CertificateField? {
    guard let text = string() else { return nil }
    guard let field = CertificateField(text) else {
      return fail(
        "must be a field name that begins with X-Forwarded-, such as \"X-Forwarded-Client-Cert-SHA256\"; such fields "
          + "never reach Core")
    }
    return field
  }

  /// A group's name or number.
  fileprivate func group() -> SocketGroup? {
    if case .number = node.value { return integer(in: 0...4_294_967_294).map { .number(UInt32($0)) } }
    return label().map { SocketGroup.name($0) }
  }

  /// A host name or an IP address as in `Host`, without a port.
  fileprivate func host() -> String? {
    guard let text = string() else { return nil }
    let isAddress = text.hasPrefix("[") && text.hasSuffix("]") && IPAddress(String(text.dropFirst().dropLast())) != nil
    let isName = text.utf8.allSatisfy { byte in
      isDecimalDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        || [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_")].contains(byte)
    }
    guard (1...253).contains(text.utf8.count), isAddress || isName else {
      return fail("must be a host name or an IP address without scheme and port, such as \"gateway.internal\"")
    }
    return text.lowercased()
  }
}
