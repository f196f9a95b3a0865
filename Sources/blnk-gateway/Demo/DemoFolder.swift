import Digests
import FoundationEssentials
import Policies
import SandboxCore

/// A copy of a policy folder whose instances are stand-ins and whose clients have tokens that somebody holds.
///
/// It is this user's alone, and gone after `remove`.
struct DemoFolder {
  let path: String
  let app = mint()
  let reader = mint()
  /// Of a client with a default instance.
  let direct = mint()
  let operators = mint()
  let expired = mint()
  let revoked = mint()
  let elsewhere = mint()

  var policies: String { "\(path)/policies" }
  var accessLog: String { "\(path)/access.log" }

  /// - Parameters:
  ///   - source: the folder to copy.
  ///   - cores: URLs and keys of the stand-ins; the first is for the first instance, the second for all others.
  init(
    copyOf source: PolicyFolder, cores: [(url: String, key: String)], closedURL: String, silentURL: String
  ) throws(CommandFault) {
    var isFolder = false
    guard FileManager.default.fileExists(atPath: source.path, isDirectory: &isFolder), isFolder else {
      throw .failed("\(source.path): there is no such folder; name one with --policies DIR")
    }
    path = FileManager.default.temporaryDirectory.path.trimmedSlash + "/blnk-gateway-demo-" + UUID().uuidString
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw .failed("the temporary folder \(path) cannot be made: \(error)")
    }
    do {
      try FileManager.default.copyItem(atPath: source.path, toPath: policies)
      for (index, core) in cores.enumerated() {
        try Data(core.key.utf8).write(to: URL(filePath: "\(path)/core-\(index).key"))
      }
      try rewrite("instances.json", "instances") { instances in
        instances = Self.instances(instances, cores.map(\.url), closedURL: closedURL, silentURL: silentURL)
      }
      try rewrite("clients.json", "clients") { clients in try self.addTokens(&clients, of: source) }
    } catch {
      remove()
      if let fault = error as? CommandFault { throw fault }
      throw .failed("\(source.path): cannot be copied: \(error)")
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
        throw CommandFault.failed("\(source.path)/clients.json: clients.\(name): the demo needs this client")
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
    clients["demo-operator"] = ["scopes": ["*"], "instances": ["*"], "tokens": [Self.entry(operators)]]
    clients["demo-revoked"] = [
      "scopes": ["*"], "instances": ["inst_demo"], "revoked": true, "tokens": [Self.entry(revoked)],
    ]
    clients["demo-elsewhere"] = [
      "scopes": ["*"], "instances": ["inst_demo"], "networks": ["192.0.2.0/24"], "tokens": [Self.entry(elsewhere)],
    ]
  }

  private static func entry(_ token: Token, expires: String? = nil) -> JSONValue {
    var entry: JSONValue = ["sha256": .string(token.digest.hex), "note": "of the demo"]
    if let expires { entry["expires"] = .string(expires) }
    return entry
  }

  /// Changes the one object in a file. A file that cannot be read so is left alone: loading it says what is wrong.
  private func rewrite(_ file: String, _ key: String, _ change: (inout JSONValue) throws -> Void) throws {
    let url = URL(filePath: "\(policies)/\(file)")
    guard let data = try? Data(contentsOf: url), var root = try? JSONReader.read(Array(data)),
      var entries = root[key], case .object = entries
    else { return }
    try change(&entries)
    root[key] = entries
    try Data(root.bytes).write(to: url)
  }

  private static func mint() -> Token {
    var generator = SystemRandomNumberGenerator()
    return Token.mint(using: &generator)
  }
}

extension String {
  fileprivate var trimmedSlash: String { hasSuffix("/") ? String(dropLast()) : self }
}
