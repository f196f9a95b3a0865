package import Digests

/// The immutable whole of how the gateway runs and of clients, instances and routes.
package struct Policy: Sendable {
  package var settings: GatewaySettings
  /// In the order of the files; `instanceIndex` counts here.
  package let instances: [Instance]
  package let directory: InstanceDirectory
  /// In the order of the files; `clientIndex` counts here.
  package let clients: ClientTable
  package let tokens: TokenTable
  package let routes: RouteTable
  /// What it was read from.
  package let files: [PolicyFile]
  /// Derived from `instances`.
  package let hosts: HostDirectory

  init(
    settings: GatewaySettings, instances: [Instance], directory: InstanceDirectory, clients: ClientTable,
    tokens: TokenTable, routes: RouteTable, files: [PolicyFile]
  ) {
    self.settings = settings
    self.instances = instances
    self.directory = directory
    self.clients = clients
    self.tokens = tokens
    self.routes = routes
    self.files = files
    hosts = HostDirectory(instances.map(\.hosts))
  }
}

/// A file of a policy folder, as it is in force.
package struct PolicyFile: Sendable {
  /// Such as `clients/acme.json`.
  package let name: String
  /// Of its bytes; nil: nothing of it is in force.
  package let digest: Digest?
  /// Where its instances are in `Policy.instances`.
  var instances = 0..<0
  /// Where its clients are in `Policy.clients`.
  var clients = 0..<0
}

extension Policy {
  func file(_ name: String) -> PolicyFile? { files.first { $0.name == name } }

  /// Of all its files, as 64 hex digits: two policies with equal ones are the same, but for keys and certificates.
  package var digest: String {
    var stream = SHA256Stream()
    for file in files {
      if let digest = file.digest { stream.update(Array("\(file.name) \(digest.hex)\n".utf8).span) }
    }
    return stream.digest.hex
  }

  /// The same with other clients and tokens, and with what revoked them.
  func with(_ clients: ClientTable, _ tokens: TokenTable, _ file: PolicyFile?) -> Policy {
    Policy(
      settings: settings, instances: instances, directory: directory, clients: clients, tokens: tokens, routes: routes,
      files: files + (file.map { [$0] } ?? []))
  }
}
