import Foundation
import TestSupport
import Testing

/// How the running program reloads a changed folder: real files, links and signals.
@Suite(.scopedFixtures, .serialized) struct ReloadProcessTests {
  private static let target = "/proxy/balances?instance_id=one"

  private func withGateway(
    watch: Bool, settings: [String: any Sendable] = [:],
    _ body: (GatewayProcess, TestPolicyFolder, () throws -> Int?) throws -> Void
  ) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], gateway: settings.merging(["watch": watch]) { $1 })
    let gateway = try GatewayProcess(folder)
    let socket = try TestSocket(port: gateway.port)
    var reader = TestMessageReader(socket)
    // A single connection, which sees every policy in turn.
    try body(gateway, folder) {
      try socket.send(testRequest("GET", Self.target))
      return try reader.next()?.status
    }
  }

  @Test func `without a watch, only SIGHUP reloads the folder`() throws {
    try withGateway(watch: false) { gateway, folder, ask in
      #expect(try ask() == 200)
      try folder.writeClients(app: ["revoked": true])
      // Twice as long as a watch waits after the last change.
      Thread.sleep(forTimeInterval: 0.4)
      #expect(try ask() == 200)
      gateway.signal(SIGHUP)
      #expect(gateway.waitUntilSaid("generation 2 in force"))
      #expect(try ask() == 401)
    }
  }

  @Test func `a file written in place or replaced by a rename takes effect without a signal`() throws {
    try withGateway(watch: true) { gateway, folder, ask in
      let file = URL(filePath: folder.path + "/clients.json")
      try folder.writeClients(app: ["revoked": true])
      #expect(gateway.waitUntilSaid("generation 2 in force"))
      #expect(try ask() == 401)
      let handle = try FileHandle(forWritingTo: file)
      let text = try String(contentsOf: file, encoding: .utf8).replacing("true", with: "false")
      try handle.truncate(atOffset: 0)
      // Like an editor that saves in pieces.
      for piece in [text.prefix(20), text.dropFirst(20)] {
        try handle.write(contentsOf: Data(piece.utf8))
        Thread.sleep(forTimeInterval: 0.05)
      }
      try handle.close()
      #expect(gateway.waitUntilSaid("generation 3 in force"))
      #expect(try ask() == 200)
      #expect(!gateway.errors.contains("is invalid"))
    }
  }

  @Test func `a folder of clients that is created, changed or deleted takes effect without a signal`() throws {
    try withGateway(watch: true) { gateway, folder, ask in
      let manager = FileManager.default
      let made = folder.path + "/.made"
      let clients = folder.path + "/clients"
      try manager.createDirectory(atPath: made, withIntermediateDirectories: false)
      let entry = #"{"clients": {"other": {"scopes": [], "instances": []}}}"#
      try entry.write(toFile: made + "/other.json", atomically: true, encoding: .utf8)
      // One event, like the rename with which Kubernetes replaces the files of a volume.
      try manager.moveItem(atPath: made, toPath: clients)
      #expect(gateway.waitUntilSaid("generation 2 in force"))
      let changed = entry.replacing(#""scopes": []"#, with: #""scopes": ["proxy:read"]"#)
      try changed.write(toFile: clients + "/other.json", atomically: true, encoding: .utf8)
      #expect(gateway.waitUntilSaid("generation 3 in force"))
      try manager.removeItem(atPath: clients)
      #expect(gateway.waitUntilSaid("generation 4 in force"))
      #expect(try ask() == 200)
    }
  }

  @Test func `reports each changed key that takes effect at the next start only, as the guide lists them`() throws {
    let keys = [
      "listen", "loops", "access_log", "limits.connections", "limits.connections_per_address",
      "limits.upstream_connections",
    ]
    try withGateway(watch: false) { gateway, folder, ask in
      let text = """
        { "listen": "127.0.0.1:1", "admin": null, "loops": 2, "watch": false, "access_log": null,
          "trusted_proxies": ["10.0.0.0/8"], "timeouts": { "head_s": 9 },
          "limits": { "connections": 1001, "upstream_connections": 201, "connections_per_address": 100 } }
        """
      try text.write(toFile: folder.path + "/gateway.json", atomically: true, encoding: .utf8)
      gateway.signal(SIGHUP)
      #expect(gateway.waitUntilSaid("generation 2 in force"))
      let end = "the change takes effect at the next start; the old value stays in force until then\n"
      for key in keys { #expect(gateway.waitUntilSaid("gateway.json: \(key): \(end)")) }
      #expect(gateway.errors.ranges(of: end).count == keys.count)
      #expect(try ask() == 200)
    }
    let guide = try String(contentsOfFile: "policies/README.md", encoding: .utf8)
    let sentence = try #require(guide.firstMatch(of: /change\s+to\s+one:\s(?<keys>[^:;]*);/)?.keys)
    #expect(sentence.matches(of: /`([^`]+)`/).map { String($0.1) } == keys)
  }

  @Test func `reports a journal of idempotency keys that is turned on or off, or gets another folder or ttl`() throws {
    let end = "the change takes effect at the next start; the old value stays in force until then\n"
    func reload(
      from old: [String: any Sendable], to new: String, reports keys: [String],
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      try withGateway(watch: false, settings: old) { gateway, folder, ask in
        // The limit's report comes after all others.
        try #"{"listen": "127.0.0.1:0", "admin": null, "watch": false, "limits": {"connections": 1001}, \#(new)}"#
          .write(toFile: folder.path + "/gateway.json", atomically: true, encoding: .utf8)
        gateway.signal(SIGHUP)
        #expect(gateway.waitUntilSaid("gateway.json: limits.connections: \(end)"), sourceLocation: sourceLocation)
        let told = gateway.errors.matches(of: /gateway\.json: (idempotency[a-z_.]*): (.*\n)/).filter { $0.2 == end }
        #expect(told.map { String($0.1) } == keys, sourceLocation: sourceLocation)
        #expect(try ask() == 200)
      }
    }
    let journal: [String: any Sendable] = ["idempotency": ["keys_max": 2000]]
    try reload(from: [:], to: #""idempotency": {}"#, reports: ["idempotency"])
    try reload(from: journal, to: #""idempotency": null"#, reports: ["idempotency"])
    try reload(from: journal, to: #""idempotency": {"ttl_h": 25}"#, reports: ["idempotency.ttl_h"])
    try reload(from: journal, to: #""idempotency": {"folder": "other"}"#, reports: ["idempotency.folder"])
    try reload(from: journal, to: #""idempotency": {"keys_max": 3000}"#, reports: [])
  }

  @Test func `entries of the folder that are not files are reported, and delay nothing`() throws {
    try withGateway(watch: true) { gateway, folder, ask in
      let clients = folder.path + "/clients"
      try FileManager.default.createDirectory(atPath: clients, withIntermediateDirectories: false)
      let made = unsafe mkfifo(clients + "/pipe.json", 0o600)
      #expect(made == 0)
      try FileManager.default.createSymbolicLink(atPath: clients + "/zero.json", withDestinationPath: "/dev/zero")
      try FileManager.default.createSymbolicLink(atPath: clients + "/gone.json", withDestinationPath: "/nonexistent")
      try FileManager.default.createDirectory(atPath: clients + "/folder.json", withIntermediateDirectories: false)
      gateway.signal(SIGHUP)
      #expect(gateway.waitUntilSaid("keep their last good content"))
      for (name, words) in [
        ("pipe", "is not a regular file"), ("zero", "is not a regular file"),
        ("gone", "does not exist (dangling link)"),
        ("folder", "is not a regular file"),
      ] {
        #expect(gateway.errors.contains("clients/\(name).json: \(words)\n"))
      }
      #expect(try ask() == 200)
      try FileManager.default.removeItem(atPath: clients)
      try folder.writeClients(app: ["revoked": true])
      #expect(gateway.waitUntilSaid("in force: 3 clients, 1 instance\n"))
      #expect(try ask() == 401)
    }
  }

  @Test func `a bad file changes nothing, and is reported with its line`() throws {
    try withGateway(watch: true) { gateway, folder, ask in
      try Data("{\"clients\": {\n\"app\": {\"scope\": []}}}".utf8).write(
        to: URL(filePath: folder.path + "/clients.json"))
      #expect(gateway.waitUntilSaid("keep their last good content"))
      #expect(gateway.errors.contains("clients.json:2: clients.app.scope: unknown key (did you mean \"scopes\"?)"))
      #expect(try ask() == 200)
      try Data("{".utf8).write(to: URL(filePath: folder.path + "/routes.json"))
      #expect(gateway.waitUntilSaid("generation 2 stays in force"))
      try FileManager.default.removeItem(atPath: folder.path + "/routes.json")
      try folder.writeClients(app: ["revoked": true])
      #expect(gateway.waitUntilSaid("in force: 3 clients, 1 instance\n"))
      #expect(try ask() == 401)
    }
  }

  @Test func `swapping a link, as Kubernetes does for a mounted folder, is one change`() throws {
    try withGateway(watch: true) { gateway, folder, ask in
      let files = FileManager.default
      let root = folder.path
      func mount(_ name: String, revoked: Bool) throws {
        try files.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: false)
        let text = try String(contentsOfFile: "\(root)/real.json", encoding: .utf8)
        try text.replacing("\"revoked\":false", with: "\"revoked\":\(revoked)")
          .write(toFile: "\(root)/\(name)/clients.json", atomically: false, encoding: .utf8)
        try files.createSymbolicLink(atPath: "\(root)/..data_tmp", withDestinationPath: name)
        // rename(2) replaces the link in one step.
        let result = unsafe rename("\(root)/..data_tmp", "\(root)/..data")
        #expect(result == 0)
      }
      try folder.writeClients(app: ["revoked": false])
      try files.copyItem(atPath: "\(root)/clients.json", toPath: "\(root)/real.json")
      try mount("..2026_1", revoked: false)
      try files.removeItem(atPath: "\(root)/clients.json")
      try files.createSymbolicLink(atPath: "\(root)/clients.json", withDestinationPath: "..data/clients.json")
      #expect(gateway.waitUntilSaid("generation 2 in force"))
      #expect(try ask() == 200)
      try mount("..2026_2", revoked: true)
      #expect(gateway.waitUntilSaid("in force", times: 2))
      #expect(try eventually { try ask() == 401 })
      try mount("..2026_3", revoked: false)
      #expect(try eventually { try ask() == 200 })
      #expect(!gateway.errors.contains("is invalid"))
    }
  }

  @Test func `1,000 signals do no harm`() throws {
    try withGateway(watch: false) { gateway, folder, ask in
      for _ in 0..<1_000 {
        gateway.signal(SIGHUP)
        let status = try ask()
        #expect(status == 200)
      }
      gateway.signal(SIGHUP)
      #expect(gateway.waitUntilSaid("in force"))
      let status = try ask()
      #expect(status == 200)
    }
  }
}
