import Digests

/// What became of a policy folder.
package struct LoadResult: Sendable {
  /// nil if one of the findings refuses the whole.
  package let policy: Policy?
  /// In the order in which they were met: by file, then from top to bottom as far as the file is read so.
  package let findings: [Finding]

  package init(policy: Policy?, findings: [Finding]) {
    self.policy = policy
    self.findings = findings
  }

  /// Errors of single files and instances, for which what was in force before stands in, or nothing.
  package var containedFaults: [Finding] { findings.filter(\.isContained) }
}

extension Policy {
  /// Reads the whole folder and validates it; collects everything that is wrong, not only the first. Reads the key
  /// files that it names, too; does not touch the network.
  package static func load(_ folder: PolicyFolder, now: UnixSeconds) -> LoadResult {
    var policy = FolderPolicy()
    return policy.read(FolderReading(folder), now: now)
  }
}

/// The policy of a folder, from one reading to the next: what is faulty keeps its last good content.
package struct FolderPolicy: Sendable {
  /// Before revocations.
  private var base: Policy?
  package private(set) var revocations: Revocations?

  package init() {}

  /// Reads a folder. Where the result has no policy, revocations may still have changed: see `revoked`.
  package mutating func read(_ reading: FolderReading, now: UnixSeconds) -> LoadResult {
    let log = FindingLog()
    let isFirst = base == nil
    guard folderExists(reading.folder.path) else {
      let message = "there is no such folder; name one with --policies DIR or in $BLNK_GATEWAY_POLICIES"
      return LoadResult(policy: nil, findings: [Finding(.error, file: reading.folder.path, message: message)])
    }
    let revocations = Revocations(reading, following: self.revocations, log: log)
    guard !isFirst || !log.isRefused else { return LoadResult(policy: nil, findings: log.findings) }
    self.revocations = revocations
    let loader = Loader(reading, following: base, revocations, now: now, log: log)
    guard let policy = loader.load() else { return LoadResult(policy: nil, findings: log.findings) }
    base = policy
    revocations.note(unknownTo: policy, reading, log: log)
    return LoadResult(policy: policy.revoking(revocations), findings: log.findings)
  }

  /// The same with the revocations of a reading whose policy was refused.
  package func revoking(as other: FolderPolicy) -> FolderPolicy {
    var policy = self
    policy.revocations = other.revocations
    return policy
  }

  /// What was in force, with the tokens and clients revoked that are so by now; nil before the first good reading.
  package var revoked: Policy? { base.map { $0.revoking(revocations ?? Revocations()) } }
}

/// Reads what a policy consists of; revocations aside.
private struct Loader {
  let reading: FolderReading
  let last: Policy?
  let revocations: Revocations
  let now: UnixSeconds
  let log: FindingLog
  /// By their names: there can be one for each of very many tenants.
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
    let settings = lastingRoot(of: "gateway.json").map(gatewayFile.settings) ?? GatewaySettings()
    let definitions = lastingRoot(of: "routes.json").map(RoutesFile().routes) ?? defaultRoutes
    var files = ["gateway.json", "routes.json"].map { PolicyFile(name: $0, digest: reading.digest(of: $0)) }
    // Too many scopes for a table is an error that the decoder has noted.
    guard Set(definitions.map(\.scope)).count <= RouteTable.scopesMax else { return nil }
    let routes = RouteTable(definitions)
    let instancesFile = instances(&files)
    let clientsFile = clients(instancesFile, routes, &files)
    guard !log.isRefused else { return nil }
    let instances =
      instancesFile.instances
      + clientsFile.unknownInstances.map { Instance(misconfigured: $0, "its file cannot be read") }
    return Policy(
      settings: settings, instances: instances.packed(), directory: InstanceDirectory(instances.map(\.id)),
      clients: clientsFile.clients.packed(), tokens: TokenTable(clientsFile.tokens), routes: routes,
      files: files.packed())
  }

  /// The root of a file that may be absent, but must not vanish: without it everything would be as by default.
  private func lastingRoot(of name: String) -> Field? {
    let wasThere = lastDigest(of: name) != nil
    let wayOut = "it was there before: put it back, or restart the gateway to go on with the defaults"
    return reading.root(of: name, whenAbsent: wasThere ? wayOut : nil, log: log)
  }

  /// Whether faults of a file concern that file alone: at the start the only file of its kind cannot be missing.
  private func isContained(_ name: String) -> Bool { last != nil || name.contains("/") }

  private func instances(_ files: inout [PolicyFile]) -> InstancesFile {
    var decoder = InstancesFile(reading: reading, following: last)
    for name in reading.fileNames(of: "instances.json", log: log) {
      let start = decoder.instances.count
      let (root, textFault) = log.contain(if: isContained(name)) {
        reading.root(of: name, whenAbsent: #"write {"instances": {…}} into it"#, log: log)
      }
      // A text with a fault, such as a repeated key, has a root as well: nobody can say what it means.
      let (isWhole, formFault) = log.contain(if: isContained(name)) {
        textFault == nil && root.map { decoder.read($0) } ?? false
      }
      let fault = textFault ?? formFault
      if !isWhole { decoder.keep("\(reading.folder.path)/\(name)", name, fault, log: log) }
      let digest = isWhole ? reading.digest(of: name) : lastDigest(of: name)
      reading.didDecode(name)
      files.append(PolicyFile(name: name, digest: digest, instances: start..<decoder.instances.count))
    }
    return decoder
  }

  private func clients(_ instances: InstancesFile, _ routes: RouteTable, _ files: inout [PolicyFile]) -> ClientsFile {
    var decoder = ClientsFile(
      instances: instances.instances, declared: instances.names, scopes: routes.scopes, revocations: revocations,
      now: now)
    for name in reading.fileNames(of: "clients.json", log: log) {
      let start = decoder.clients.count
      let mark = decoder.mark
      let (_, fault) = log.contain(if: isContained(name)) {
        let root = reading.root(of: name, whenAbsent: #"write {"clients": {…}} into it"#, log: log)
        root.map { decoder.read($0) }
      }
      var digest = reading.digest(of: name)
      reading.didDecode(name)
      if fault != nil {
        decoder.truncate(to: mark)
        if let last { decoder.keep("\(reading.folder.path)/\(name)", name, of: last, log: log) }
        digest = lastDigest(of: name)
      }
      files.append(PolicyFile(name: name, digest: digest, clients: start..<decoder.clients.count))
    }
    return decoder
  }
}
