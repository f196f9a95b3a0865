import Foundation
import TestFolders
import TestSupport
import Testing

/// Two tenants on one gateway: a fault of one does not keep the other's changes from taking effect.
@Suite(.scopedFixtures, .serialized) struct RevocationProcessTests {
  private final class Stage {
    let core: ScriptedUpstream
    let folder: TestPolicyFolder
    let keys: TemporaryFolder
    let gateway: GatewayProcess
    private let socket: TestSocket
    private var reader: TestMessageReader

    /// - Parameter keyPath: of "two"; nil: a file in `keys`.
    init(keyPath: String? = nil) throws {
      core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
      keys = try TemporaryFolder()
      try keys.makeFolder("tenant")
      for name in ["one.key", "tenant/two.key"] { try keys.write("first-key", to: name) }
      let url = "http://127.0.0.1:\(core.port)"
      folder = try TestPolicyFolder(
        instances: [("one", url), ("two", url)], gateway: ["admin": "127.0.0.1:0", "watch": true])
      try FileManager.default.createDirectory(atPath: folder.path + "/instances", withIntermediateDirectories: true)
      try FileManager.default.removeItem(atPath: folder.path + "/instances.json")
      let paths = ["one": keys.path("one.key"), "two": keyPath ?? keys.path("tenant/two.key")]
      for (name, path) in paths {
        let text = #"{"instances": {"\#(name)": {"url": "\#(url)", "key": {"file": "\#(path)"}}}}"#
        try Data(text.utf8).write(to: URL(filePath: "\(folder.path)/instances/\(name).json"))
      }
      gateway = try GatewayProcess(folder)
      socket = try TestSocket(port: gateway.port)
      reader = TestMessageReader(socket)
    }

    func write(_ text: String, _ name: String) throws {
      try Data(text.utf8).write(to: URL(filePath: folder.path + "/" + name))
    }

    func ask(_ instance: String, token: String = TestPolicyFolder.token) throws -> TestMessage? {
      try socket.send(testRequest("GET", "/proxy/balances?instance_id=\(instance)", token: token))
      return try reader.next()
    }

    /// The key of Core's last request.
    var keyShown: String? { core.requests.last?.message["X-Blnk-Key"] }

    func token(_ arguments: String..., input: String = "", admin isNamed: Bool = true) throws -> (
      status: Int32, errors: String, output: String
    ) {
      let process = Process()
      process.executableURL = URL(filePath: try BuiltProgram.path())
      let admin = isNamed ? ["--admin", "127.0.0.1:\(gateway.adminPort ?? 0)"] : []
      process.arguments = ["token"] + arguments + ["--policies", folder.path] + admin
      let (into, errors, output) = (Pipe(), Pipe(), Pipe())
      process.standardInput = into
      process.standardError = errors
      process.standardOutput = output
      try process.run()
      try into.fileHandleForWriting.write(contentsOf: Data(input.utf8))
      try into.fileHandleForWriting.close()
      let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      let printed = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      return (process.terminationStatus, said, printed)
    }

    func status() throws -> String { try TestMessage.asking(port: gateway.adminPort ?? 0, "/status")?.bodyText ?? "" }
  }

  @Test func `a revocation takes effect immediately although another tenant's key is missing`() throws {
    let stage = try Stage()
    #expect(try stage.ask("one")?.status == 200)
    try FileManager.default.removeItem(atPath: stage.keys.path("tenant/two.key"))
    #expect(stage.gateway.waitUntilSaid("keep their last good content"))
    let revoked = try stage.token("revoke", "--token-stdin", input: TestPolicyFolder.token)
    #expect(revoked.status == 0 && revoked.errors.contains("In force after "), "\(revoked.errors)")
    #expect(revoked.errors.contains("generation 3"))
    let answer = try stage.ask("one")
    #expect(answer?.status == 401 && answer?.member("code") == "GATEWAY_TOKEN_REVOKED")
    #expect(try stage.ask("two", token: TestPolicyFolder.readToken)?.status == 200)
    #expect(try stage.status().contains("two.key does not exist"))
    let list = try stage.token("list", admin: false)
    #expect(list.output.contains("revoked"), "\(list.output)")
  }

  @Test func `a revocation takes effect although no other file can be read; "token new" says why its token does not`()
    throws
  {
    let stage = try Stage()
    try stage.write("{", "routes.json")
    try stage.write(#"{"clients": {"#, "clients.json")
    #expect(stage.gateway.waitUntilSaid("generation 1 stays in force"))
    let revoked = try stage.token("revoke", "--token-stdin", input: TestPolicyFolder.token)
    #expect(revoked.status == 0 && revoked.errors.contains("In force after "), "\(revoked.errors)")
    #expect(try stage.ask("one")?.member("code") == "GATEWAY_TOKEN_REVOKED")
    // Both faults are shown: the one that rejects the whole folder, and that of an individual file.
    let status = try stage.status()
    #expect(status.contains("routes.json") && status.contains("clients.json"), "\(status)")
    try stage.folder.writeClients()
    let made = try stage.token("new", "--client", "reader")
    #expect(made.status == 3 && made.errors.contains("routes.json"), "\(made.status) \(made.errors)")
    try FileManager.default.removeItem(atPath: stage.folder.path + "/routes.json")
    let client = try stage.token("revoke", "--client", "reader", "--all")
    #expect(client.status == 0, "\(client.errors)")
    #expect(try stage.ask("one", token: TestPolicyFolder.readToken)?.member("code") == "GATEWAY_TOKEN_REVOKED")
    try FileManager.default.removeItem(atPath: stage.folder.path + "/revoked.json")
    #expect(stage.gateway.waitUntilSaid("its revocations stay in force"))
    #expect(try stage.ask("one")?.member("code") == "GATEWAY_TOKEN_REVOKED")
  }

  @Test func `commands do not wait with --no-wait, and report if no gateway answers`() throws {
    let stage = try Stage()
    let made = try stage.token("new", "--client", "reader")
    #expect(made.status == 0 && made.errors.contains("In force after "), "\(made.errors)")
    #expect(try stage.ask("one", token: String(made.output.dropLast()))?.status == 200)
    let quick = try stage.token("new", "--client", "reader", "--no-wait")
    #expect(quick.status == 0 && quick.errors.contains("next reload"))
    stage.gateway.stop()
    let alone = try stage.token("new", "--client", "reader")
    #expect(alone.status == 0 && alone.errors.contains("No gateway answers"), "\(alone.errors)")
  }

  enum Change: CaseIterable { case inPlace, byRename, bySwap }

  @Test(arguments: Change.allCases)
  func `a changed key file takes effect without a signal`(change: Change) throws {
    let stage = try Stage()
    #expect(try stage.ask("two")?.status == 200 && stage.keyShown == "first-key")
    let path = stage.keys.path("tenant/two.key")
    switch change {
    case .inPlace: try Data("second-key".utf8).write(to: URL(filePath: path))
    case .byRename:
      try stage.keys.write("second-key", to: "tenant/new")
      let renamed = unsafe rename(stage.keys.path("tenant/new"), path)
      #expect(renamed == 0)
    case .bySwap:
      // Like a Kubernetes volume: the file is a link into ..data, which is a link that is swapped.
      for (folder, text) in [("..1", "first-key"), ("..2", "second-key")] {
        try stage.keys.makeFolder("tenant/\(folder)")
        try stage.keys.write(text, to: "tenant/\(folder)/two.key")
      }
      try FileManager.default.createSymbolicLink(
        atPath: stage.keys.path("tenant/..data"), withDestinationPath: "..1")
      try FileManager.default.removeItem(atPath: path)
      try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "..data/two.key")
      #expect(try stage.ask("two")?.status == 200)
      try FileManager.default.createSymbolicLink(
        atPath: stage.keys.path("tenant/..new"), withDestinationPath: "..2")
      let swapped = unsafe rename(stage.keys.path("tenant/..new"), stage.keys.path("tenant/..data"))
      #expect(swapped == 0)
    }
    let isShown = try eventually {
      let status = try stage.ask("two")?.status
      return status == 200 && stage.keyShown == "second-key"
    }
    #expect(isShown)
  }

  @Test func `an instance without its key is misconfigured from the start until a retry finds the key`() throws {
    // Appears without an event of a folder: only a retry can find it.
    let number: Int32 = 987
    let stage = try Stage(keyPath: "/proc/\(getpid())/fd/\(number)")
    #expect(stage.gateway.waitUntilSaid("serving without the faulty"))
    let refused = try stage.ask("two")
    #expect(refused?.status == 503 && refused?.member("code") == "GATEWAY_INSTANCE_MISCONFIGURED")
    #expect(refused?.member("outcome") == "not_sent")
    #expect(try stage.ask("one")?.status == 200)
    let file = try FileHandle(forReadingFrom: URL(filePath: stage.keys.path("tenant/two.key")))
    #expect(dup2(file.fileDescriptor, number) == number)
    defer { close(number) }
    #expect(stage.gateway.waitUntilSaid("generation 2 in force: 3 clients, 2 instances\n"))
    #expect(try stage.ask("two")?.status == 200)
  }

  @Test func `a folder that keeps changing does not delay a change forever`() throws {
    let stage = try Stage()
    #expect(try stage.ask("one")?.status == 200)
    let began = ContinuousClock.now
    try stage.folder.writeClients(app: ["revoked": true])
    while try stage.ask("one")?.status == 200, ContinuousClock.now - began < .seconds(TestSocket.patience) {
      try stage.write("\(began)", "notes.txt")
      // More often than the 200 ms of rest that a reload waits for.
      Thread.sleep(forTimeInterval: 0.05)
    }
    // It takes 2 s; without a bound it would take forever.
    #expect(ContinuousClock.now - began < .seconds(10))
  }

  @Test func `serve --strict does not start with a fault`() throws {
    let stage = try Stage()
    stage.gateway.stop()
    try FileManager.default.removeItem(atPath: stage.keys.path("one.key"))
    let process = Process()
    process.executableURL = URL(filePath: try BuiltProgram.path())
    process.arguments = ["serve", "--strict", "--policies", stage.folder.path, "--state", stage.folder.statePath]
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 1)
  }

  @Test func `after a restart during a key rotation no write uses the key that Core refuses`() throws {
    let core = try ScriptedUpstream { request in
      let refusal = #"{"error":"Invalid API key","error_detail":{"code":"AUTH_INVALID_API_KEY"}}"#
      let isRight = request.message["X-Blnk-Key"] == TestPolicyFolder.secondKey
      return .bytes(isRight ? ScriptedUpstream.json("{}") : ScriptedUpstream.json(refusal, status: "401 Unauthorized"))
    }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")],
      instance: ["key": [["env": "TEST_KEY"], ["env": "TEST_KEY_2"]]])
    let environment = ["TEST_KEY_2": TestPolicyFolder.secondKey]
    func write(_ gateway: GatewayProcess) throws -> Int? {
      let socket = try TestSocket(port: gateway.port)
      var reader = TestMessageReader(socket)
      try socket.send(testRequest("POST", "/proxy/balances?instance_id=one", body: "{}"))
      return try reader.next()?.status
    }
    var gateway = try GatewayProcess(folder, environment: environment)
    #expect(try write(gateway) == 502 && write(gateway) == 200)
    let file = folder.statePath + "/accepted-keys.json"
    #expect(eventually { FileManager.default.fileExists(atPath: file) })
    gateway.signal(SIGKILL)
    _ = gateway.waitForEnd()
    #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o600)
    #expect(try !String(contentsOfFile: file, encoding: .utf8).contains(TestPolicyFolder.secondKey))
    gateway = try GatewayProcess(folder, environment: environment)
    #expect(try write(gateway) == 200)
    gateway.stop()
    try Data("no JSON".utf8).write(to: URL(filePath: file))
    gateway = try GatewayProcess(folder, environment: environment)
    #expect(try write(gateway) == 502 && write(gateway) == 200)
  }
}
