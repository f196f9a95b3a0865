import Digests

/// The result of loading a policy folder.
package struct LoadResult: Sendable {
  /// nil: one of the findings prevents loading.
  package let policy: Policy?
  /// By file, and mostly from top to bottom.
  package let findings: [Finding]

  package init(policy: Policy?, findings: [Finding]) {
    self.policy = policy
    self.findings = findings
  }

  /// Errors that concern individual files and instances: their last good content stays in force, or they are left out.
  package var containedFaults: [Finding] { findings.filter(\.isContained) }
}

extension Policy {
  /// Reads and validates the whole folder, including the key files that it names; does not use the network. Collects
  /// all findings, not only the first.
  package static func load(_ folder: PolicyFolder, now: UnixSeconds) -> LoadResult {
    var policy = FolderPolicy()
    return policy.read(FolderReading(folder), now: now)
  }
}

/// The policy of a folder across readings: the last good content of faulty parts stays in force.
package struct FolderPolicy: Sendable {
  /// Without revocations applied.
  private var base: Policy?
  package private(set) var revocations: Revocations?

  package init() {}

  /// Reads a folder. If the result has no policy, the revocations may still have changed: see `lastGood`.
  package mutating func read(_ reading: FolderReading, now: UnixSeconds) -> LoadResult {
    let log = FindingLog()
    let isFirst = base == nil
    guard folderExists(reading.folder.path) else {
      let message = "no such folder; name one with --policies DIR or $BLNK_GATEWAY_POLICIES"
      return LoadResult(policy: nil, findings: [Finding(.error, file: reading.folder.path, message: message)])
    }
    // Only at the start: later, the loops need the other processor.
    if isFirst { reading.readAhead("clients.json") }
    let revocations = Revocations(reading, following: self.revocations, log: log)
    guard !isFirst || !log.preventsLoading else { return LoadResult(policy: nil, findings: log.findings) }
    self.revocations = revocations
    let loader = Loader(reading, following: base, revocations, now: now, log: log)
    guard let policy = loader.load() else { return LoadResult(policy: nil, findings: log.findings) }
    base = policy
    revocations.reportUnused(in: policy, reading, log: log)
    policy.reportUnknownNames(ofIntrospection: "\(reading.folder.path)/gateway.json", log: log)
    return LoadResult(policy: policy.revoking(revocations), findings: log.findings)
  }

  /// A copy with the revocations of a reading whose policy could not be loaded.
  package func withRevocations(of other: FolderPolicy) -> FolderPolicy {
    var policy = self
    policy.revocations = other.revocations
    return policy
  }

  /// The last good policy with the current revocations applied; nil before the first good reading.
  package var lastGood: Policy? { base.map { $0.revoking(revocations ?? Revocations()) } }
}

/// Reads all parts of a policy except revocations.
private struct Loader {
  let reading: FolderReading
  let last: Policy?
  let revocations: Revocations
  let now: UnixSeconds
  let log: FindingLog
  /// By file name, because there can be one file for each of very many tenants.
  private let lastDigests: [String: Digest?]

  init(
    _ reading: FolderReading, following last: Policy?, _ revocations: Revocations, now: UnixSeconds, log: FindingLog
  ) {
    self.reading = reading
    self.last = last
    self.revocations = revocations
    self.now = now
    self.log = log
    lastDigests = Dictionary((last?.files ?? []).map { ($0.name, $0.digest) }, uniquingKeysWith: { first, _ in first })
  }

  private func lastDigest(of name: String) -> Digest? { lastDigests[name] ?? nil }

  func load() -> Policy? {
    let gatewayFile = GatewayFile(reading: reading, stateFolder: reading.folder.stateFolder)
    let root = optionalRoot(of: "gateway.json")
    let settings = root.map(gatewayFile.settings) ?? GatewaySettings()
    let routesFile = RoutesFile(idempotency: settings.idempotency)
    let definitions = optionalRoot(of: "routes.json").map(routesFile.routes) ?? defaultRoutes
    var files = ["gateway.json", "routes.json"].map { PolicyFile(name: $0, digest: reading.digest(of: $0)) }
    // The decoder has recorded an error if there are too many scopes for a table.
    guard Set(definitions.map(\.scope)).count <= RouteTable.scopesMax else { return nil }
    let routes = RouteTable(definitions)
    let instancesFile = instances(hasJournal: settings.idempotency != nil, &files)
    let scopes = ScopeDirectory(scopes: routes.scopes, aliases: settings.scopeAliases)
    if let root, let oauth = settings.oauth { check(oauth, against: instancesFile.instances, root) }
    let clientsFile = clients(instancesFile, routes, scopes, hasTokenEndpoint: settings.oauth != nil, &files)
    if settings.countsClients, clientsFile.clients.count > Policy.listedClientsMax {
      let message =
        "\(clientsFile.clients.count) clients are more than \(Policy.listedClientsMax): requests are not counted by client"
      log.append(reading.finding(.warning, "gateway.json", "metrics", message))
    }
    guard !log.preventsLoading else { return nil }
    let instances =
      instancesFile.instances
      + clientsFile.unknownInstances.map { Instance(misconfigured: $0, "the file that defines it cannot be read") }
    return Policy(
      settings: settings, instances: instances.packed(), directory: NameDirectory(instances.map(\.id.bytes)),
      clients: clientsFile.clients.packed(), tokens: TokenTable(clientsFile.tokens), routes: routes, scopes: scopes,
      files: files.packed())
  }

  private func check(_ oauth: OAuthSettings, against instances: [Instance], _ root: Field) {
    guard !oauth.keyDigests.isEmpty else { return }
    for instance in instances {
      for key in instance.keys { oauth.checkKeys(against: key, "the key of the instance \(instance.id.text)", root) }
    }
  }

  /// The root of an optional file, which must not disappear once it was in force: its defaults would apply silently.
  private func optionalRoot(of name: String) -> Field? {
    let wasInForce = lastDigest(of: name) != nil
    let remedy = "it existed before: restore it, or restart the gateway to use the defaults"
    return reading.root(of: name, whenAbsent: wasInForce ? remedy : nil, log: log)
  }

  /// Whether faults of a file concern that file only. Not at the start for `clients.json` and `instances.json`
  /// themselves.
  private func isContained(_ name: String) -> Bool { last != nil || name.contains("/") }

  private func instances(hasJournal: Bool, _ files: inout [PolicyFile]) -> InstancesFile {
    var decoder = InstancesFile(reading: reading, following: last, hasJournal: hasJournal)
    for name in reading.fileNames(of: "instances.json", log: log) {
      let start = decoder.instances.count
      let (root, textFault) = log.contain(if: isContained(name)) {
        reading.root(of: name, whenAbsent: #"create it with {"instances": {…}}"#, log: log)
      }
      // A text with repeated keys has a root as well, but its meaning is ambiguous.
      let (isWhole, formFault) = log.contain(if: isContained(name)) {
        textFault == nil && root.map { decoder.read($0) } ?? false
      }
      let fault = textFault ?? formFault
      if !isWhole { decoder.appendLastGood(of: name, file: "\(reading.folder.path)/\(name)", fault, log: log) }
      let digest = isWhole ? reading.digest(of: name) : lastDigest(of: name)
      reading.releaseContent(of: name)
      files.append(PolicyFile(name: name, digest: digest, instances: start..<decoder.instances.count))
    }
    return decoder
  }

  private func clients(
    _ instances: InstancesFile, _ routes: RouteTable, _ scopes: ScopeDirectory, hasTokenEndpoint: Bool,
    _ files: inout [PolicyFile]
  ) -> ClientsFile {
    var decoder = ClientsFile(
      instances: instances.instances, declared: instances.names, scopes: routes.scopes, directory: scopes,
      revocations: revocations, hasTokenEndpoint: hasTokenEndpoint, now: now)
    for name in reading.fileNames(of: "clients.json", log: log) {
      let start = decoder.clients.count
      let checkpoint = decoder.checkpoint
      let (_, fault) = log.contain(if: isContained(name)) {
        let root = reading.root(of: name, whenAbsent: #"create it with {"clients": {…}}"#, log: log)
        root.map { decoder.read($0) }
      }
      var digest = reading.digest(of: name)
      reading.releaseContent(of: name)
      if fault != nil {
        decoder.rollBack(to: checkpoint)
        if let last { decoder.appendLastGood(of: name, file: "\(reading.folder.path)/\(name)", from: last, log: log) }
        digest = lastDigest(of: name)
      }
      files.append(PolicyFile(name: name, digest: digest, clients: start..<decoder.clients.count))
    }
    return decoder
  }
}
