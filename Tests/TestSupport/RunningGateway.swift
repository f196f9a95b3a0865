import Foundation
import Gateway
import Policy
import Synchronization

/// A gateway in this process, on a free port, with a policy folder of its own.
package final class RunningGateway: Sendable {
  package static let token = "blnk_at_test-token-that-may-read-and-write"
  package static let readToken = "blnk_at_test-token-that-may-read"

  package let port: UInt16
  private let server: Server
  private let folder: URL
  private let lines = Mutex<[String]>([])

  package struct Failed: Error {
    let findings: [String]
  }

  /// - Parameters:
  ///   - upstreams: instance ids and the ports of their Cores.
  ///   - instance: members that every instance gets, such as `"timeouts": {…}`.
  ///   - gateway: members of gateway.json.
  package init(
    upstreams: [(id: String, port: UInt16)], loops: Int = 1, instance: [String: any Sendable] = [:],
    gateway: [String: any Sendable] = [:]
  ) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "gateway-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    self.folder = folder
    var settings: [String: any Sendable] = [
      "listen": "127.0.0.1:0", "admin": NSNull(), "loops": loops, "watch": false,
      "access_log": folder.path + "-access.jsonl",
      "limits": ["connections": 1_000, "upstream_connections": 200],
    ]
    settings.merge(gateway) { $1 }
    try Self.write(settings, to: folder, "gateway.json")
    var instances: [String: any Sendable] = [:]
    for upstream in upstreams {
      let own: [String: any Sendable] = ["url": "http://127.0.0.1:\(upstream.port)", "key": ["env": "TEST_KEY"]]
      instances[upstream.id] = own.merging(instance) { $1 }
    }
    try Self.write(["instances": instances], to: folder, "instances.json")
    let clients: [String: any Sendable] = [
      "app": Self.client(token: Self.token, scopes: ["proxy:read", "proxy:write"], instances: upstreams.map(\.id)),
      "reader": Self.client(token: Self.readToken, scopes: ["proxy:read"], instances: upstreams.map(\.id)),
    ]
    try Self.write(["clients": clients], to: folder, "clients.json")
    let result = Policy.load(
      PolicyFolder(path: folder.path, environment: ["TEST_KEY": "core-key-of-tests"]), now: UnixSeconds(1_800_000_000))
    guard let policy = result.policy else { throw Failed(findings: result.findings.map(\.description)) }
    server = try Server(policy) { _ in }
    guard case .ip(_, let port) = server.addresses[0] else { throw Failed(findings: ["no port"]) }
    self.port = port
  }

  private static func client(token: String, scopes: [String], instances: [String]) -> [String: any Sendable] {
    let digest = SHA256.digest(of: Array(token.utf8).span).hex
    return [
      "name": "test", "scopes": scopes, "instances": instances, "tokens": [["sha256": digest, "note": "of the tests"]],
    ]
  }

  private static func write(_ value: [String: any Sendable], to folder: URL, _ name: String) throws {
    try JSONSerialization.data(withJSONObject: value).write(to: folder.appending(path: name))
  }

  /// How many connections each loop holds.
  package var connectionCounts: [Int] { server.connectionCounts }

  /// Drains the gateway; true when every exchange came to its end.
  @discardableResult
  package func stop() -> Bool { server.drain() }

  /// Drains the gateway, and reads the records of all its exchanges.
  package func stopAndReadLog() throws -> [[String: any Sendable]] {
    stop()
    let text = try String(contentsOfFile: folder.path + "-access.jsonl", encoding: .utf8)
    return try text.split(separator: "\n").map { line in
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
      return object as? [String: any Sendable] ?? [:]
    }
  }

  package func connect(receiveBuffer: Int32? = nil) throws -> TestSocket {
    try TestSocket(port: port, receiveBuffer: receiveBuffer)
  }

  /// One request on a connection of its own.
  package func ask(
    _ method: String, _ target: String, fields: [String] = [], body: String? = nil,
    token: String? = RunningGateway.token
  ) throws -> TestMessage? {
    let socket = try connect()
    try socket.send(Self.request(method, target, fields: fields + ["Connection: close"], body: body, token: token))
    var reader = TestMessageReader(socket)
    return try reader.next(hasBody: method != "HEAD")
  }

  /// The bytes of a request.
  package static func request(
    _ method: String, _ target: String, fields: [String] = [], body: String? = nil,
    token: String? = RunningGateway.token
  ) -> String {
    var lines = ["\(method) \(target) HTTP/1.1", "Host: gateway.test"]
    if let token { lines.append("Authorization: Bearer \(token)") }
    lines += fields
    if let body { lines.append("Content-Length: \(body.utf8.count)") }
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
  }
}
