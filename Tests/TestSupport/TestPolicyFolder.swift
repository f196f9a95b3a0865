import Digests
package import Foundation
import Policies
import TestFolders

/// A temporary policy folder with three clients and the test's instances.
package final class TestPolicyFolder: Sendable {
  /// A token that may read and write, and one that may read only.
  package static let token = "blnk_at_test-token-that-may-read-and-write"
  package static let readToken = "blnk_at_test-token-that-may-read"
  /// A token of a client whose default instance is the first.
  package static let directToken = "blnk_at_test-token-of-a-caller-of-core"
  package static let key = "core-key-of-tests"
  /// The value of `TEST_KEY_2`, for instances with two keys.
  package static let secondKey = "second-core-key-of-tests"

  package let path: String
  private let root: TemporaryFolder
  private let instances: [(id: String, url: String)]
  private let instance: [String: any Sendable]
  private let hosts: [String: [String]]
  private let settings: [String: any Sendable]
  /// The state folder, next to the policy folder.
  package let statePath: String
  package var accessLogPath: String { statePath + "/access.jsonl" }

  /// - Parameters:
  ///   - instances: ids and URLs.
  ///   - instance: members of every instance, for example `"timeouts": {…}`.
  ///   - hosts: the `"hosts"` of instances, by their ids.
  ///   - gateway: members of gateway.json.
  ///   - routes: members of `"routes"` in routes.json; nil: the default table.
  package init(
    instances: [(id: String, url: String)], loops: Int = 1, instance: [String: any Sendable] = [:],
    hosts: [String: [String]] = [:], gateway: [String: any Sendable] = [:], routes: [String: any Sendable]? = nil
  ) throws {
    root = try TemporaryFolder()
    path = root.path("policies")
    statePath = root.path("state")
    try root.makeFolder("policies")
    try root.makeFolder("state")
    self.instances = instances
    self.instance = instance
    self.hosts = hosts
    let settings: [String: any Sendable] = [
      "listen": "127.0.0.1:0", "admin": NSNull(), "loops": loops, "watch": false, "access_log": "access.jsonl",
      "limits": ["connections": 1_000, "upstream_connections": 200],
    ]
    // The drain at the end of a test does not wait for idle connections.
    var timeouts: [String: any Sendable] = ["drain_idle_s": 0]
    if let own = gateway["timeouts"] as? [String: any Sendable] { timeouts.merge(own) { $1 } }
    self.settings = settings.merging(gateway) { $1 }.merging(["timeouts": timeouts]) { $1 }
    try writeSettings()
    if let routes { try write(["routes": routes], "routes.json") }
    try writeInstances()
    try writeClients()
  }

  /// Rewrites gateway.json.
  ///
  /// - Parameter changes: members; they replace those given to `init`.
  package func writeSettings(changes: [String: any Sendable] = [:]) throws {
    try write(settings.merging(changes) { $1 }, "gateway.json")
  }

  /// Rewrites the instances.
  ///
  /// - Parameter changes: members of every instance; they replace those given to `init`.
  package func writeInstances(changes: [String: any Sendable] = [:]) throws {
    let entries = instances.map { entry in
      let own: [String: any Sendable] = [
        "url": entry.url, "key": ["env": "TEST_KEY"], "hosts": hosts[entry.id] ?? [],
      ]
      return (entry.id, own.merging(instance) { $1 }.merging(changes) { $1 })
    }
    try write(["instances": Dictionary(uniqueKeysWithValues: entries)], "instances.json")
  }

  /// Replaces clients.json.
  package func write(clients text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path).appending(path: "clients.json"))
  }

  /// Rewrites the clients.
  ///
  /// - Parameter app: members of the client of `token`; they replace its own.
  package func writeClients(app: [String: any Sendable] = [:]) throws {
    let ids = instances.map(\.id)
    var direct = Self.client(token: Self.directToken, scopes: ["proxy:read", "proxy:write"], instances: ids)
    direct["default_instance"] = ids.first
    let own = Self.client(token: Self.token, scopes: ["proxy:read", "proxy:write"], instances: ids)
    let clients: [String: any Sendable] = [
      "direct": direct, "app": own.merging(app) { $1 },
      "reader": Self.client(token: Self.readToken, scopes: ["proxy:read"], instances: ids),
    ]
    try write(["clients": clients], "clients.json")
  }

  private static func client(token: String, scopes: [String], instances: [String]) -> [String: any Sendable] {
    ["name": "test", "scopes": scopes, "instances": instances, "tokens": [entry(of: token)]]
  }

  /// An entry of a client's `"tokens"`.
  ///
  /// - Parameter expires: truncated to whole seconds.
  package static func entry(of token: String, expires: Date? = nil) -> [String: any Sendable] {
    let digest = SHA256.digest(of: Array(token.utf8).span).hex
    let entry: [String: any Sendable] = ["sha256": digest, "note": "of the tests"]
    return expires.map { entry.merging(["expires": $0.formatted(.iso8601)]) { $1 } } ?? entry
  }

  private func write(_ value: [String: any Sendable], _ name: String) throws {
    try JSONSerialization.data(withJSONObject: value).write(to: URL(fileURLWithPath: path).appending(path: name))
  }

  /// The records of the access log.
  package func records() throws -> [[String: any Sendable]] {
    let text = try String(contentsOfFile: accessLogPath, encoding: .utf8)
    return try text.split(separator: "\n").map { line in
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: any Sendable] ?? [:]
    }
  }
}
