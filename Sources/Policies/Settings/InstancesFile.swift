/// Decodes `instances.json` files one after the other into instances.
struct InstancesFile {
  static let instancesMax = 100_000

  private let reading: FolderReading
  /// What was in force before, for what is faulty now.
  private let last: Policy?
  private(set) var instances: [Instance] = []
  /// The names of all entries, faulty ones too; nil if a file could not be read.
  private(set) var names: Set<String>? = []
  private var places = EntryPlaces()
  private var conducts: [InstanceConduct: SharedConduct] = [:]
  /// Where each host stands; nil: of an instance for which what was in force before stands in.
  private var hostFields: [HostName: Field?] = [:]
  /// Those of the entry that is being read.
  private var entryHosts: [HostName] = []

  init(reading: FolderReading, following last: Policy? = nil) {
    self.reading = reading
    self.last = last
  }

  /// Reads the instances of a file; what is wrong with one of them concerns that one alone.
  ///
  /// - Returns: false where the file is not of the form that it should have.
  @discardableResult
  mutating func read(_ root: Field) -> Bool {
    let (form, fault) = root.log.contain(if: false) { Self.form(root) }
    guard let (field, entries) = form, fault == nil else { return false }
    for entry in entries {
      names?.insert(entry.name)
      places.note(entry.name, entry.field, of: "instance")
      entryHosts.removeAll()
      let (read, fault) = root.log.contain { instance(entry.name, entry.field) }
      if let fault {
        for host in entryHosts { hostFields[host] = nil }
        guard let instance = standIn(for: entry.name, fault) else { continue }
        keepHosts(of: instance, file: entry.field.file, log: root.log)
        instances.append(instance)
      } else if let read {
        instances.append(read)
      }
    }
    if instances.count > Self.instancesMax { field.clash("has more than \(Self.instancesMax)") }
    return true
  }

  private static func form(_ root: Field) -> (field: Field, entries: [(name: String, field: Field)])? {
    guard let members = root.members(["instances", schemaKey]) else { return nil }
    members.readSchema()
    guard let field = members.required("instances"), let entries = field.entries() else { return nil }
    return (field, entries)
  }

  /// What was in force of an instance whose definition is faulty now; nil for what cannot be an instance.
  private func standIn(for name: String, _ fault: Finding) -> Instance? {
    guard let id = InstanceID(name) else { return nil }
    let index = last?.directory.index(of: id.bytes.span)
    guard var instance = index.flatMap({ last?.instances[Int($0)] }) else {
      return Instance(misconfigured: id, "\(fault)")
    }
    instance.fault = "\(fault)"
    return instance
  }

  /// Takes over what was in force of a file that cannot be read now; without such, nobody knows its instances.
  mutating func keep(_ file: String, _ name: String, _ fault: Finding?, log: FindingLog) {
    guard let last, let fault, let range = last.file(name)?.instances else {
      names = nil
      return
    }
    for var instance in last.instances[range] {
      places.keep(instance.id.text, of: "instance", file: file, log: log)
      names?.insert(instance.id.text)
      instance.fault = "\(fault)"
      keepHosts(of: instance, file: file, log: log)
      instances.append(instance)
    }
  }

  private mutating func instance(_ name: String, _ field: Field) -> Instance? {
    let id = InstanceID(name)
    if id == nil { field.error("the name of an instance \(nameRule)") }
    let known = ["url", "key", "writes", "tls", "limits", "timeouts", "health", "breaker", "hosts"]
    guard let members = field.members(known) else { return nil }
    let url = members.required("url").flatMap(url)
    let keys = members.required("key")?.secrets(in: reading)
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
    guard let known = hostFields[host] else {
      hostFields[host] = field
      entryHosts.append(host)
      return host
    }
    let place = known.map { "\($0.keyPath) in \($0.file):\($0.node.line)" }
    field.clash("the same host as \(place ?? "of an instance whose last good definition is in force; repair that one")")
    return nil
  }

  private mutating func keepHosts(of instance: Instance, file: String, log: FindingLog) {
    for host in instance.hosts where hostFields.updateValue(nil, forKey: host) != nil {
      log.append(
        Finding(
          .error, file: file,
          message: "of its last good content, the host \(host.text) is now another instance's, too; repair the file"),
        isClash: true)
    }
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
    tls.authority = members["ca_file"].flatMap { field in existingFile(field) }
    tls.certificate = members["cert_file"].flatMap { field in existingFile(field) }
    tls.key = members["key_file"].flatMap { field in existingFile(field, isKey: true) }
    tls.serverName = members["server_name"].flatMap { field in field.isNull ? nil : field.label() }
    let hasCertificate = members["cert_file"].map { field in !field.isNull } ?? false
    let hasKey = members["key_file"].map { field in !field.isNull } ?? false
    if hasCertificate != hasKey { field.error("\"cert_file\" and \"key_file\" go together") }
    if !isTLS, tls != TLSSettings() { field.warning("has no effect on an http:// URL") }
    return tls
  }

  private func existingFile(_ field: Field, isKey: Bool = false) -> PEMFile? {
    if field.isNull { return nil }
    guard let name = field.label(byteCountMax: 4096) else { return nil }
    let path = resolved(name, in: reading.folder.path)
    guard reading.folder.readsKeys else { return reading.passOver(file: path) }
    do throws(FileFault) {
      let content = try reading.content(path, byteCountMax: 16 << 20)
      if isKey { field.warnOfAccess(toKeyFile: path, mode: content.mode) }
      return reading.pem(path, content)
    } catch {
      return field.refused("the file \(path) \(error.message)")
    }
  }
}
