import Foundation
import Gateway
package import Policies

/// A gateway in this process, on a free port, with a policy folder of its own.
package final class RunningGateway: Sendable {
  package let port: UInt16
  /// nil: off, unless the test asks for it by `"admin": "127.0.0.1:0"`.
  package let adminPort: UInt16?
  package let policy: Policy
  private let server: Server
  private let folder: TestPolicyFolder

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
    folder = try TestPolicyFolder(
      instances: upstreams.map { ($0.id, "http://127.0.0.1:\($0.port)") }, loops: loops, instance: instance,
      hosts: hosts, gateway: gateway, routes: routes)
    let policy = try Self.load(folder)
    self.policy = policy
    server = try Server(policy) { _ in }
    guard case .ip(_, let port) = server.addresses[0] else { throw Failed(findings: ["no port"]) }
    self.port = port
    adminPort = if case .ip(_, let port)? = server.adminAddress { port } else { nil }
  }

  private static func load(_ folder: TestPolicyFolder) throws -> Policy {
    let result = Policy.load(
      PolicyFolder(
        path: folder.path, stateFolder: folder.statePath,
        environment: ["TEST_KEY": TestPolicyFolder.key, "TEST_KEY_2": TestPolicyFolder.secondKey]),
      now: UnixSeconds(1_800_000_000))
    guard let policy = result.policy else { throw Failed(findings: result.findings.map(\.description)) }
    return policy
  }

  /// Reloads the folder with other members of the client that holds `token` and of every instance; returns the
  /// generation.
  @discardableResult
  package func reload(
    client: [String: any Sendable] = [:], instance: [String: any Sendable] = [:]
  ) throws -> Int {
    try folder.writeClients(app: client)
    try folder.writeInstances(changes: instance)
    return server.reload(try Self.load(folder))
  }

  /// How many connections each loop holds.
  package var connectionCounts: [Int] { server.connectionCounts }

  /// Opens its logs anew.
  package func reopenLogs() { server.reopenLogs() }

  /// For its logs and what else a test keeps there.
  package var statePath: String { folder.statePath }

  /// Drains the gateway; true when every exchange came to its end.
  @discardableResult
  package func stop() -> Bool { server.drain() }

  /// Drains the gateway, and reads the records of all its exchanges.
  package func stopAndReadLog() throws -> [[String: any Sendable]] {
    stop()
    return try folder.records()
  }

  package func connect(receiveBuffer: Int32? = nil) throws -> TestSocket {
    try TestSocket(port: port, receiveBuffer: receiveBuffer)
  }

  /// Asks the endpoint for operators.
  package func askAdmin(
    _ path: String, method: String = "GET", host: String? = nil, fields: [String] = []
  ) throws -> TestMessage? {
    try TestMessage.asking(port: adminPort ?? 0, path, method: method, host: host, fields: fields)
  }

  /// One request on a connection of its own.
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
  /// The answer of a server on 127.0.0.1, without a token.
  ///
  /// - Parameter host: what is named in `Host`; nil: the address.
  package static func asking(
    port: UInt16, _ path: String, method: String = "GET", host: String? = nil, fields: [String] = []
  ) throws -> TestMessage? {
    let socket = try TestSocket(port: port)
    try socket.send(
      testRequest(method, path, fields: fields + ["Connection: close"], token: nil, host: host ?? "127.0.0.1:\(port)"))
    var reader = TestMessageReader(socket)
    return try reader.next(hasBody: method != "HEAD")
  }

  /// The samples of a Prometheus text by name and labels, as they stand there.
  package var samples: [String: Double] {
    var samples: [String: Double] = [:]
    for line in bodyText.split(separator: "\n") where !line.hasPrefix("#") {
      guard let space = line.lastIndex(of: " ") else { continue }
      samples[String(line[..<space])] = Double(line[line.index(after: space)...])
    }
    return samples
  }
}
