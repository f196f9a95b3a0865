import Foundation
import Synchronization
import TestFolders
import TestSupport
import Testing

/// `instance new` and `client new` with a running gateway, whose admin endpoint is a Unix socket.
@Suite(.scopedFixtures, .serialized) struct EntryProcessTests {
  private let core: ScriptedUpstream
  private let root: TemporaryFolder
  private let folder: TestPolicyFolder
  private let gateway: GatewayProcess

  init() throws {
    core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    root = try TemporaryFolder()
    folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")],
      gateway: ["admin": "unix:\(root.path("admin.sock"))", "watch": true])
    gateway = try GatewayProcess(folder)
    #expect(gateway.waitUntilSaid("admin endpoint on unix:"))
  }

  private func run(_ arguments: String...) throws -> (status: Int32, output: String, errors: String) {
    try runCommand(arguments + ["--policies", folder.path])
  }

  private func ask(_ instance: String, token: String) throws -> Int? {
    let socket = try TestSocket(port: gateway.port)
    try socket.send(testRequest("GET", "/proxy/balances?instance_id=\(instance)", token: token))
    var reader = TestMessageReader(socket)
    return try reader.next()?.status
  }

  @Test func `a new instance and a new client are in force when the commands end`() throws {
    try root.write("key-of-two", to: "two.key")
    let instance = try run(
      "instance", "new", "two", "--core", "http://127.0.0.1:\(core.port)", "--key-file", root.path("two.key"))
    #expect(
      instance.status == 0 && instance.errors.contains(#/In force after [0-9]+ ms, generation 2\./#), "\(instance)")
    let client = try run("client", "new", "shop", "--instances", "two", "--token")
    #expect(client.status == 0 && client.errors.contains(#/In force after [0-9]+ ms, generation 3\./#), "\(client)")
    let token = String(client.output.dropLast())
    #expect(try ask("two", token: token) == 200)
    #expect(core.requests.last?.message["X-Blnk-Key"] == "key-of-two")
    #expect(try ask("one", token: token) == 403)
  }

  @Test func `commands at once all end with their change in force`() throws {
    let outcomes = Mutex<[(status: Int32, output: String, errors: String)]>([])
    DispatchQueue.concurrentPerform(iterations: 8) { number in
      guard let made = try? run("client", "new", "shop\(number)", "--instances", "one", "--token") else { return }
      outcomes.withLock { $0.append(made) }
    }
    let made = outcomes.withLock { $0 }
    #expect(made.count == 8)
    for made in made {
      #expect(made.status == 0 && made.errors.contains("In force after"), "\(made)")
      #expect(try ask("one", token: String(made.output.dropLast())) == 200)
    }
  }

  @Test func `an instance whose key the gateway cannot read is written, not usable, and says why`() throws {
    let made = try run("instance", "new", "two", "--core", "http://127.0.0.1:\(core.port)", "--key-env", "NOT_SET")
    #expect(made.status == 3, "\(made)")
    #expect(
      made.errors.contains("error: instance new: the change is written, but the gateway reports a fault: ")
        && made.errors.contains("instances.two.key.env: the environment variable NOT_SET is not set"), "\(made.errors)")
    // Its file is in force for the others.
    let client = try run("client", "new", "shop", "--instances", "one", "--token")
    #expect(try client.status == 0 && ask("one", token: String(client.output.dropLast())) == 200, "\(client)")
  }

  @Test func `says why the gateway does not apply a change, and when there is no gateway`() throws {
    let quick = try run("client", "new", "quick", "--instances", "one", "--no-wait")
    #expect(quick.status == 0 && quick.errors.contains("next reload"), "\(quick)")
    gateway.stop()
    let alone = try run("client", "new", "shop", "--instances", "one")
    #expect(alone.status == 0 && alone.errors.contains("No gateway answers at unix:"), "\(alone)")
  }

  @Test func `a gateway that does not watch its folder has not applied the change`() throws {
    let still = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")],
      gateway: ["admin": "unix:\(root.path("still.sock"))", "watch": false])
    let other = try GatewayProcess(still)
    #expect(other.waitUntilSaid("admin endpoint on unix:"))
    let made = try runCommand(["client", "new", "shop", "--instances", "one", "--policies", still.path])
    #expect(
      made.status == 3 && made.errors.contains("not in force after 5 s: the gateway has another version"), "\(made)")
  }
}
