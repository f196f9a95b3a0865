/// What became of a policy folder.
package struct LoadResult: Sendable {
  /// nil if one of the findings is an error.
  package let policy: Policy?
  /// In the order in which they were met: by file, then from top to bottom as far as the file is read so.
  package let findings: [Finding]

  package init(policy: Policy?, findings: [Finding]) {
    self.policy = policy
    self.findings = findings
  }
}

extension Policy {
  /// Reads the whole folder and validates it; collects everything that is wrong, not only the first. Reads the key
  /// files that it names, too; does not touch the network.
  package static func load(_ folder: PolicyFolder, now: UnixSeconds) -> LoadResult {
    let log = FindingLog()
    let policy = read(folder, now: now, log: log)
    return LoadResult(policy: log.hasErrors ? nil : policy, findings: log.findings)
  }

  private static func read(_ folder: PolicyFolder, now: UnixSeconds, log: FindingLog) -> Policy? {
    guard folderExists(folder.path) else {
      let message = "there is no such folder; name one with --policies DIR or in $BLNK_GATEWAY_POLICIES"
      log.append(Finding(.error, file: folder.path, message: message))
      return nil
    }
    let instancesRoots = folder.roots(
      of: "instances.json", whenAbsent: #"write {"instances": {…}} into it"#, log: log)
    let clientsRoots = folder.roots(of: "clients.json", whenAbsent: #"write {"clients": {…}} into it"#, log: log)
    let gatewayFile = GatewayFile(surroundings: folder.surroundings, stateFolder: folder.stateFolder)
    let settings = folder.root(of: "gateway.json", log: log).map(gatewayFile.settings) ?? GatewaySettings()
    let definitions = folder.root(of: "routes.json", log: log).map(RoutesFile().routes) ?? defaultRoutes
    var instancesFile = InstancesFile(surroundings: folder.surroundings)
    for root in instancesRoots { instancesFile.read(root) }
    let instances = instancesFile.instances
    // Too many scopes for a table is an error that the decoder has noted.
    guard Set(definitions.map(\.scope)).count <= RouteTable.scopesMax else { return nil }
    let routes = RouteTable(definitions)
    var clientsFile = ClientsFile(
      instances: instances, declared: instancesFile.names, scopes: routes.scopes, now: now)
    for root in clientsRoots.compactMap(\.self) { clientsFile.read(root) }
    guard !log.hasErrors else { return nil }
    return Policy(
      settings: settings, instances: instances, directory: InstanceDirectory(instances.map(\.id)),
      clients: clientsFile.clients.packed(), tokens: TokenTable(clientsFile.tokens), routes: routes)
  }
}
