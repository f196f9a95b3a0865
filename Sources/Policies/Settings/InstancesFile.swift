/// Decodes `instances.json` files one after the other into instances.
struct InstancesFile {
  static let instancesMax = 100_000

  private let reading: FolderReading
  /// The last good policy, whose instances replace faulty ones.
  private let last: Policy?
  /// Whether gateway.json has `idempotency`.
  private let hasJournal: Bool
  private(set) var instances: [Instance] = []
  /// The names of all entries, including faulty ones; nil: a file could not be read.
  private(set) var names: Set<String>? = []
  private var definedNames = DefinedNames()
  private var sharedOptions: [InstanceOptions: SharedInstanceOptions] = [:]
  /// The field of each host; nil: the host is from the last good definition of an instance.
  private var hostFields: [HostName: Field?] = [:]
  /// The hosts of the entry that is being read.
  private var entryHosts: [HostName] = []

  init(reading: FolderReading, following last: Policy? = nil, hasJournal: Bool = false) {
    self.hasJournal = hasJournal
    self.reading = reading
    self.last = last
  }

  /// Reads the instances of a file. A fault of one instance concerns that instance only.
  ///
  /// - Returns: false if the file as a whole is faulty.
  @discardableResult
  mutating func read(_ root: Field) -> Bool {
    let (form, fault) = root.log.contain(if: false) { Self.form(root) }
    guard let (field, entries) = form, fault == nil else { return false }
    for entry in entries {
      names?.insert(entry.name)
      definedNames.insert(entry.name, entry.field, of: "instance")
      entryHosts.removeAll()
      let (read, fault) = root.log.contain { instance(entry.name, entry.field) }
      if let fault {
        for host in entryHosts { hostFields[host] = nil }
        guard let instance = lastGoodInstance(entry.name, fault) else { continue }
        insertLastGoodHosts(of: instance, file: entry.field.file, log: root.log)
        instances.append(instance)
      } else if let read {
        instances.append(read)
      }
    }
    if instances.count > Self.instancesMax {
      field.conflict("exceeds the limit of \(Self.instancesMax) instances in all files together")
    }
    return true
  }

  private static func form(_ root: Field) -> (field: Field, entries: [(name: String, field: Field)])? {
    guard let members = root.members(["instances", schemaKey]) else { return nil }
    members.readSchema()
    guard let field = members.required("instances"), let entries = field.entries() else { return nil }
    return (field, entries)
  }

  /// The last good definition of an instance that is faulty now, or a misconfigured instance; nil: the name is invalid.
  private func lastGoodInstance(_ name: String, _ fault: Finding) -> Instance? {
    guard let id = InstanceID(name) else { return nil }
    let index = last?.directory.index(of: id.bytes.span)
    guard var instance = index.flatMap({ last?.instances[Int($0)] }) else {
      return Instance(misconfigured: id, "\(fault)")
    }
    instance.fault = "\(fault)"
    return instance
  }

  /// Appends the last good content of a file that is faulty now. If there is none, its instances are unknown.
  mutating func appendLastGood(of name: String, file: String, _ fault: Finding?, log: FindingLog) {
    guard let last, let fault, let range = last.file(name)?.instances else {
      names = nil
      return
    }
    for var instance in last.instances[range] {
      definedNames.insertLastGood(instance.id.text, of: "instance", file: file, log: log)
      names?.insert(instance.id.text)
      instance.fault = "\(fault)"
      insertLastGoodHosts(of: instance, file: file, log: log)
      instances.append(instance)
    }
  }

  private mutating func instance(_ name: String, _ field: Field) -> Instance? {
    let id = InstanceID(name)
    if id == nil { field.error("an instance name \(nameRule)") }
    let known = ["url", "key", "writes", "tls", "limits", "timeouts", "health", "breaker", "hosts", "reconcile"]
    guard let members = field.members(known) else { return nil }
    let url = members.required("url").flatMap(url)
    let keys = members.required("key")?.secrets(in: reading)
    var options = InstanceOptions()
    if let field = members["tls"] { options.tls = tls(field, isTLS: url?.isTLS ?? true) }
    if let field = members["limits"] { options.limits = InstanceLimits(field) }
    if let field = members["timeouts"] { options.timeouts = InstanceTimeouts(field) }
    if let field = members["health"] { options.health = HealthSettings(field) }
    if let field = members["breaker"] { options.breaker = BreakerSettings(field) }
    members.read("reconcile", into: &options.reconciles)
    if options.reconciles, !hasJournal {
      members["reconcile"]?.warning("has no effect without \"idempotency\" in gateway.json")
    }
    var acceptsWrites = true
    members.read("writes", into: &acceptsWrites)
    let hosts = (members["hosts"]?.elements() ?? []).compactMap { field in host(field) }
    guard let id, let url, let keys else { return nil }
    return Instance(
      id: id, url: url, keys: keys, acceptsWrites: acceptsWrites, options: shared(options), hosts: hosts)
  }

  /// A host, which must not be another instance's as well.
  private mutating func host(_ field: Field) -> HostName? {
    guard let text = field.string() else { return nil }
    guard let host = HostName(text) else { return field.fail(HostName.rule) }
    guard let known = hostFields[host] else {
      hostFields[host] = field
      entryHosts.append(host)
      return host
    }
    if let known {
      field.conflict("is the same host as \(known.keyPath) in \(known.file):\(known.node.line)")
    } else {
      field.conflict("is a host in the last good definition of another instance; repair that instance")
    }
    return nil
  }

  private mutating func insertLastGoodHosts(of instance: Instance, file: String, log: FindingLog) {
    for host in instance.hosts where hostFields.updateValue(nil, forKey: host) != nil {
      log.append(
        Finding(
          .error, file: file,
          message: "the last good content of this file has the host \(host.text), which another instance has now, too; "
            + "repair this file"), isConflict: true)
    }
  }

  private mutating func shared(_ options: InstanceOptions) -> SharedInstanceOptions {
    if let known = sharedOptions[options] { return known }
    let new = SharedInstanceOptions(options)
    sharedOptions[options] = new
    return new
  }

  private func url(_ field: Field) -> InstanceURL? {
    guard let text = field.string() else { return nil }
    do throws(InstanceURL.Fault) {
      let url = try InstanceURL(text)
      warnOfPlainText(url, field)
      return url
    } catch {
      return field.fail(error.message)
    }
  }

  private func warnOfPlainText(_ url: InstanceURL, _ field: Field) {
    switch url.isTLS ? .privateNetwork : url.exposure {
    case .privateNetwork: break
    case .internet: field.warning("sends the Core's key and all data unencrypted to a public address; use https://")
    case .unknown: field.note("sends the Core's key and all data unencrypted; acceptable only in a private network")
    }
  }

  private func tls(_ field: Field, isTLS: Bool) -> TLSSettings {
    var tls = TLSSettings()
    guard let members = field.members(["ca_file", "cert_file", "key_file", "server_name"]) else { return tls }
    tls.caBundle = members["ca_file"].flatMap { field in existingFile(field) }
    tls.certificate = members["cert_file"].flatMap { field in existingFile(field) }
    tls.key = members["key_file"].flatMap { field in existingFile(field, isKey: true) }
    tls.serverName = members["server_name"].flatMap { field in field.isNull ? nil : field.label() }
    let hasCertificate = members["cert_file"].map { field in !field.isNull } ?? false
    let hasKey = members["key_file"].map { field in !field.isNull } ?? false
    if hasCertificate != hasKey { field.error("must have both \"cert_file\" and \"key_file\", or neither") }
    if !isTLS, tls != TLSSettings() { field.warning("has no effect on an http:// URL") }
    return tls
  }

  private func existingFile(_ field: Field, isKey: Bool = false) -> PEMFile? {
    if field.isNull { return nil }
    guard let name = field.label(byteCountMax: 4096) else { return nil }
    let path = resolved(name, in: reading.folder.path)
    guard reading.folder.readsKeys else { return reading.skip(file: path) }
    do throws(FileFault) {
      let content = try reading.content(path, byteCountMax: 16 << 20)
      if isKey { field.warnOfAccess(toKeyFile: path, mode: content.mode) }
      return reading.pem(path, content)
    } catch {
      return field.fail("the file \(path) \(error.message)")
    }
  }
}
