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
  /// Derived from `instances`.
  package let hosts: HostDirectory

  init(
    settings: GatewaySettings, instances: [Instance], directory: InstanceDirectory, clients: ClientTable,
    tokens: TokenTable, routes: RouteTable
  ) {
    self.settings = settings
    self.instances = instances
    self.directory = directory
    self.clients = clients
    self.tokens = tokens
    self.routes = routes
    hosts = HostDirectory(instances.map(\.hosts))
  }
}
