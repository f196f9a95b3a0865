import Digests
import FoundationEssentials
import Policies
import SandboxCore

/// The demo's temporary folder: a copy of a policy folder, keys and logs. Only this user can access it.
///
/// In the copy, the instances are sandboxes, and the clients have new tokens.
struct DemoFolder {
  let path: String
  let app = Token.mint()
  let reader = Token.mint()
  /// The token of a client with a default instance.
  let direct = Token.mint()
  let operators = Token.mint()
  let expired = Token.mint()
  let revoked = Token.mint()
  let elsewhere = Token.mint()
  /// The secret of a client that gets its tokens from the token endpoint.
  let clientSecret = Token.mint(.clientSecret)
  static let oauthClient = "demo-oauth"
  static let issuer = "https://gateway.example"

  var policies: String { "\(path)/policies" }
  var accessLog: String { "\(path)/access.log" }
  var auditLog: String { "\(path)/audit.log" }
  var auditKey: String { "\(path)/audit.key" }
  private var tokenKey: String { "\(path)/token.key" }

  /// - Parameters:
  ///   - source: the folder to copy.
  ///   - cores: URLs and keys of the sandboxes; the first is for `inst_demo`, the second for all other instances.
  ///   - closedURL: where connections are refused.
  ///   - silentURL: where connections get no response.
  init(
    copyOf source: PolicyFolder, cores: [(url: String, key: String)], closedURL: String, silentURL: String
  ) throws(CommandFault) {
    var isFolder = false
    guard FileManager.default.fileExists(atPath: source.path, isDirectory: &isFolder), isFolder else {
      throw .failed("\(source.path): no such folder; name one with --policies DIR")
    }
    path = FileManager.default.temporaryDirectory.path.trimmedSlash + "/blnk-gateway-demo-" + randomKey().prefix(8)
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    } catch {
      throw .failed("cannot create the temporary folder \(path): \(error)")
    }
    do {
      try FileManager.default.copyItem(atPath: source.path, toPath: policies)
      for (index, core) in cores.enumerated() {
        try Data(core.key.utf8).write(to: URL(filePath: "\(path)/core-\(index).key"))
      }
      for file in [auditKey, tokenKey] { try Data(randomKey().utf8).write(to: URL(filePath: file)) }
      try rewrite("instances.json", "instances") { instances in
        instances = Self.instances(instances, cores.map(\.url), closedURL: closedURL, silentURL: silentURL)
      }
      try rewrite("clients.json", "clients") { clients in try self.addTokens(&clients, of: source) }
      try rewriteSettings { settings in
        settings["access_log"] = .string(self.accessLog)
        settings["audit_log"] = .string(self.auditLog)
        settings["audit_key"] = ["file": .string(self.auditKey)]
        settings["oauth"] = [
          "issuer": .string(Self.issuer), "keys": [["id": "demo", "file": .string(self.tokenKey)]],
          "revocations": .string("\(self.path)/revocations"),
        ]
        settings["watch"] = true
        // So that the check of a slow request head does not take ten seconds.
        var timeouts = settings["timeouts"] ?? [:]
        timeouts["head_s"] = .number("1")
        settings["timeouts"] = timeouts
      }
    } catch {
      remove()
      if let fault = error as? CommandFault { throw fault }
      throw .failed("cannot copy \(source.path): \(error)")
    }
  }

  /// Sets the addresses of gateway.json.
  func setPorts(gateway: UInt16, admin: UInt16) throws(CommandFault) {
    do {
      try rewriteSettings { settings in
        settings["listen"] = .string("127.0.0.1:\(gateway)")
        settings["admin"] = .string("127.0.0.1:\(admin)")
      }
    } catch {
      throw .failed("cannot write \(policies)/gateway.json: \(error)")
    }
  }

  func remove() { try? FileManager.default.removeItem(atPath: path) }

  private static func instances(
    _ given: JSONValue, _ urls: [String], closedURL: String, silentURL: String
  ) -> JSONValue {
    func instance(_ url: String, core: Int, _ more: JSONMember...) -> JSONValue {
      .object([JSONMember("url", .string(url)), JSONMember("key", ["file": .string("../core-\(core).key")])] + more)
    }
    var instances = given
    for name in given.keys {
      let core = name == "inst_demo" ? 0 : 1
      instances[name] = instance(urls[core], core: core)
    }
    instances["inst_closed"] = instance(closedURL, core: 1)
    instances["inst_silent"] = instance(silentURL, core: 1, JSONMember("timeouts", ["first_byte_s": .number("0.3")]))
    instances["inst_paused"] = instance(urls[1], core: 1, JSONMember("writes", false))
    return instances
  }

  private func addTokens(_ clients: inout JSONValue, of source: PolicyFolder) throws {
    for (name, tokens) in [
      ("demo-app", [(app, nil), (expired, "2020-01-01T00:00:00Z")]), ("demo-reader", [(reader, nil)]),
    ] {
      guard var client = clients[name], case .object = client else {
        throw CommandFault.failed("\(source.path)/clients.json: clients.\(name) is missing: the demo needs this client")
      }
      let given = if case .array(let tokens) = client["tokens"] { tokens } else { [JSONValue]() }
      client["tokens"] = .array(given + tokens.map { token, expires in Self.entry(token, expires: expires) })
      client["instances"] = ["inst_demo", "inst_closed", "inst_silent", "inst_paused"]
      clients[name] = client
    }
    clients["demo-direct"] = [
      "scopes": ["proxy:read", "proxy:write"], "instances": ["inst_demo"], "default_instance": "inst_demo",
      "tokens": [Self.entry(direct)],
    ]
    clients[Self.oauthClient] = [
      "scopes": ["proxy:read", "proxy:write"], "instances": ["inst_demo"],
      "oauth": ["secrets": [Self.entry(clientSecret)]],
    ]
    clients["demo-operator"] = ["scopes": ["*"], "instances": ["*"], "tokens": [Self.entry(operators)]]
    clients["demo-revoked"] = [
      "scopes": ["*"], "instances": ["inst_demo"], "revoked": true, "tokens": [Self.entry(revoked)],
    ]
    clients["demo-elsewhere"] = [
      "scopes": ["*"], "instances": ["inst_demo"], "networks": ["192.0.2.0/24"], "tokens": [Self.entry(elsewhere)],
    ]
  }

  private static func entry(_ token: Token, expires: String? = nil) -> JSONValue {
    var entry: JSONValue = ["sha256": .string(token.digest.hex), "note": "demo"]
    if let expires { entry["expires"] = .string(expires) }
    return entry
  }

  /// Changes an object in a file. An invalid file is left alone: loading it reports why.
  private func rewrite(_ file: String, _ key: String, _ change: (inout JSONValue) throws -> Void) throws {
    let url = URL(filePath: "\(policies)/\(file)")
    guard let data = try? Data(contentsOf: url), var root = try? JSONReader.read(Array(data)),
      var entries = root[key], case .object = entries
    else { return }
    try change(&entries)
    root[key] = entries
    try Data(root.bytes).write(to: url)
  }

  /// Changes gateway.json, which may be missing. An invalid file is left alone: loading it reports why.
  private func rewriteSettings(_ change: (inout JSONValue) -> Void) throws {
    let url = URL(filePath: "\(policies)/gateway.json")
    let data = (try? Data(contentsOf: url)) ?? Data("{}".utf8)
    guard var settings = try? JSONReader.read(Array(data)), case .object = settings else { return }
    change(&settings)
    try Data(settings.bytes).write(to: url)
  }
}

extension String {
  fileprivate var trimmedSlash: String { hasSuffix("/") ? String(dropLast()) : self }
}
