/// Decodes `instances.json` files one after the other into instances.
struct InstancesFile {
  static let instancesMax = 100_000

  private let surroundings: Surroundings
  private(set) var instances: [Instance] = []
  /// The names of all entries, faulty ones too; nil if a file could not be read.
  private(set) var names: Set<String>? = []
  private var places = EntryPlaces()
  private var conducts: [InstanceConduct: SharedConduct] = [:]
  /// Where each host was first given.
  private var hostFields: [HostName: Field] = [:]

  init(surroundings: Surroundings) {
    self.surroundings = surroundings
  }

  /// nil stands for a file that could not be read.
  mutating func read(_ root: Field?) {
    guard let members = root?.members(["instances", schemaKey]), let field = members.required("instances"),
      let entries = field.entries()
    else {
      names = nil
      return
    }
    members.readSchema()
    for entry in entries {
      names?.insert(entry.name)
      places.note(entry.name, entry.field, of: "instance")
      if let instance = instance(entry.name, entry.field) { instances.append(instance) }
    }
    if instances.count > Self.instancesMax { field.error("has more than \(Self.instancesMax)") }
  }

  private mutating func instance(_ name: String, _ field: Field) -> Instance? {
    let id = InstanceID(name)
    if id == nil { field.error("the name of an instance \(nameRule)") }
    let known = ["url", "key", "writes", "tls", "limits", "timeouts", "health", "breaker", "hosts"]
    guard let members = field.members(known) else { return nil }
    let url = members.required("url").flatMap(url)
    let keys = members.required("key")?.secrets(in: surroundings)
    var conduct = InstanceConduct()
    if let field = members["tls"] { conduct.tls = tls(field, isTLS: url?.isTLS ?? true) }
    if let field = members["limits"] { conduct.limits = InstanceLimits(field) }
    if let field = members["timeouts"] { conduct.timeouts = InstanceTimeouts(field) }
    if let field = members["health"] { conduct.health = HealthSettings(field) }
    if let field = members["breaker"] { conduct.breaker = BreakerSettings(field) }
    var acceptsWrites = true
    members.read("writes", into: &acceptsWrites)
    let hosts = (members["hosts"]?.elements() ?? []).compactMap { field in host(field) }
    guard let id, let url, let keys else { return nil }
    return Instance(
      id: id, url: url, keys: keys, acceptsWrites: acceptsWrites, conduct: shared(conduct), hosts: hosts)
  }

  /// A host of one instance only, so that it says which.
  private mutating func host(_ field: Field) -> HostName? {
    guard let text = field.string() else { return nil }
    guard let host = HostName(text) else { return field.refused(HostName.rule) }
    guard let first = hostFields[host] else {
      hostFields[host] = field
      return host
    }
    return field.refused("the same host as \(first.keyPath) in \(first.file):\(first.node.line)")
  }

  private mutating func shared(_ conduct: InstanceConduct) -> SharedConduct {
    if let known = conducts[conduct] { return known }
    let new = SharedConduct(conduct)
    conducts[conduct] = new
    return new
  }

  private func url(_ field: Field) -> InstanceURL? {
    guard let text = field.string() else { return nil }
    do throws(InstanceURL.Fault) {
      let url = try InstanceURL(text)
      warnOfPlainText(url, field)
      return url
    } catch {
      return field.refused(error.message)
    }
  }

  private func warnOfPlainText(_ url: InstanceURL, _ field: Field) {
    switch url.isTLS ? .isPrivate : url.reach {
    case .isPrivate: break
    case .isPublic: field.warning("sends the Core's key and all data unencrypted to a public address; use https://")
    case .isUnknown: field.remark("sends the Core's key and all data unencrypted; right only in a private network")
    }
  }

  private func tls(_ field: Field, isTLS: Bool) -> TLSSettings {
    var tls = TLSSettings()
    guard let members = field.members(["ca_file", "cert_file", "key_file", "server_name"]) else { return tls }
    tls.caFile = members["ca_file"].flatMap { field in existingFile(field) }
    tls.certificateFile = members["cert_file"].flatMap { field in existingFile(field) }
    tls.keyFile = members["key_file"].flatMap { field in existingFile(field, isKey: true) }
    tls.serverName = members["server_name"].flatMap { field in field.isNull ? nil : field.label() }
    let hasCertificate = members["cert_file"].map { field in !field.isNull } ?? false
    let hasKey = members["key_file"].map { field in !field.isNull } ?? false
    if hasCertificate != hasKey { field.error("\"cert_file\" and \"key_file\" go together") }
    if !isTLS, tls != TLSSettings() { field.warning("has no effect on an http:// URL") }
    return tls
  }

  private func existingFile(_ field: Field, isKey: Bool = false) -> String? {
    if field.isNull { return nil }
    guard let name = field.label(byteCountMax: 4096) else { return nil }
    let path = resolved(name, in: surroundings.folder)
    do throws(FileFault) {
      let content = try fileContent(path, byteCountMax: 16 << 20)
      if isKey { field.warnOfAccess(toKeyFile: path, mode: content.mode) }
      return path
    } catch {
      return field.refused("the file \(path) \(error.message)")
    }
  }
}
