import Foundation
import Gateway
package import Policies
import Synchronization

/// A gateway in this process, on a free port, with a temporary policy folder, until its test ends.
package final class RunningGateway: Sendable {
  package let port: UInt16
  /// The port of the admin endpoint, for tests that set `"admin": "127.0.0.1:0"`; nil: off.
  package let adminPort: UInt16?
  package let policy: Policy
  private let server: Server
  private let log = Log()
  private let folder: TestPolicyFolder
  /// Whether every exchange completed; nil until the gateway is drained.
  private let isDrained = Mutex<Bool?>(nil)

  package struct Failed: Error {
    let findings: [String]
  }

  /// - Parameters:
  ///   - upstreams: instance ids and the ports of their Cores.
  ///   - hosts: the `"hosts"` of instances, by their ids.
  ///   - routes: members of `"routes"` in routes.json; nil: the default table.
  package init(
    upstreams: [(id: String, port: UInt16)], loops: Int = 1, instance: [String: any Sendable] = [:],
    hosts: [String: [String]] = [:], gateway: [String: any Sendable] = [:], routes: [String: any Sendable]? = nil
  ) throws {
    let fixtures = try Fixtures.ofTest()
    folder = try TestPolicyFolder(
      instances: upstreams.map { ($0.id, "http://127.0.0.1:\($0.port)") }, loops: loops, instance: instance,
      hosts: hosts, gateway: gateway, routes: routes)
    let policy = try Self.load(folder)
    self.policy = policy
    let log = log
    server = try Server(policy) { line in log.text.withLock { $0 += line + "\n" } }
    guard case .ip(_, let port) = server.addresses[0] else { throw Failed(findings: ["no port"]) }
    self.port = port
    adminPort = if case .ip(_, let port)? = server.adminAddress { port } else { nil }
    fixtures.add(log: { log.text.withLock { $0 } }, stop: { [self] in stop() })
  }

  private final class Log: Sendable {
    let text = Mutex("")
  }

  /// The lines that it has reported to its operator. A thread writes them, soon after the event.
  package var reported: String { log.text.withLock { $0 } }

  private static func load(_ folder: TestPolicyFolder) throws -> Policy {
    let result = Policy.load(
      PolicyFolder(
        path: folder.path, stateFolder: folder.statePath,
        environment: ["TEST_KEY": TestPolicyFolder.key, "TEST_KEY_2": TestPolicyFolder.secondKey]),
      now: UnixSeconds(1_800_000_000))
    guard let policy = result.policy else { throw Failed(findings: result.findings.map(\.description)) }
    return policy
  }

  /// Reloads the folder after changing members of the client that holds `token`, of every instance, and of
  /// gateway.json; returns the generation.
  @discardableResult
  package func reload(
    client: [String: any Sendable] = [:], instance: [String: any Sendable] = [:],
    settings: [String: any Sendable] = [:]
  ) throws -> Int {
    try folder.writeSettings(changes: settings)
    try folder.writeClients(app: client)
    try folder.writeInstances(changes: instance)
    return try server.reload(try Self.load(folder))
  }

  /// Reloads the folder after replacing clients.json; returns the generation.
  @discardableResult
  package func reload(clients text: String) throws -> Int {
    try folder.write(clients: text)
    return try server.reload(try Self.load(folder))
  }

  /// The number of connections of each loop.
  package var connectionCounts: [Int] { server.connectionCounts }

  /// Reopens its logs.
  package func reopenLogs() { server.reopenLogs() }

  /// The state folder, with its logs.
  package var statePath: String { folder.statePath }

  /// Drains the gateway; returns whether every exchange completed.
  @discardableResult
  package func stop() -> Bool {
    isDrained.withLock { isDrained in
      let result = isDrained ?? server.drain()
      isDrained = result
      return result
    }
  }

  /// Drains the gateway and reads the records of all its exchanges.
  package func stopAndReadLog() throws -> [[String: any Sendable]] {
    stop()
    return try folder.records()
  }

  package func connect(receiveBuffer: Int32? = nil) throws -> TestSocket {
    try TestSocket(port: port, receiveBuffer: receiveBuffer)
  }

  /// One request to the admin endpoint.
  package func askAdmin(
    _ path: String, method: String = "GET", host: String? = nil, fields: [String] = []
  ) throws -> TestMessage? {
    try TestMessage.asking(port: adminPort ?? 0, path, method: method, host: host, fields: fields)
  }

  /// One request on a new connection.
  package func ask(
    _ method: String, _ target: String, fields: [String] = [], body: String? = nil,
    token: String? = TestPolicyFolder.token, host: String = "gateway.test"
  ) throws -> TestMessage? {
    let socket = try connect()
    let fields = fields + ["Connection: close"]
    try socket.send(testRequest(method, target, fields: fields, body: body, token: token, host: host))
    var reader = TestMessageReader(socket)
    return try reader.next(hasBody: method != "HEAD")
  }
}

/// The bytes of a request.
package func testRequest(
  _ method: String, _ target: String, fields: [String] = [], body: String? = nil,
  token: String? = TestPolicyFolder.token, host: String = "gateway.test"
) -> String {
  var lines = ["\(method) \(target) HTTP/1.1", "Host: \(host)"]
  if let token { lines.append("Authorization: Bearer \(token)") }
  lines += fields
  if let body { lines.append("Content-Length: \(body.utf8.count)") }
  return lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
}

extension TestMessage {
  /// The response of a server on 127.0.0.1 to a request without a token.
  ///
  /// - Parameter host: the value of `Host`; nil: the address.
  package static func asking(
    port: UInt16, _ path: String, method: String = "GET", host: String? = nil, fields: [String] = []
  ) throws -> TestMessage? {
    let socket = try TestSocket(port: port)
    try socket.send(
      testRequest(method, path, fields: fields + ["Connection: close"], token: nil, host: host ?? "127.0.0.1:\(port)"))
    var reader = TestMessageReader(socket)
    return try reader.next(hasBody: method != "HEAD")
  }

  /// The samples of a Prometheus text by name and labels, as written.
  package var samples: [String: Double] {
    var samples: [String: Double] = [:]
    for line in bodyText.split(separator: "\n") where !line.hasPrefix("#") {
      guard let space = line.lastIndex(of: " ") else { continue }
      samples[String(line[..<space])] = Double(line[line.index(after: space)...])
    }
    return samples
  }
}
