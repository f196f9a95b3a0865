import Foundation
import TestSupport
import Testing

/// What the audit log says about reloads, and that it delays none.
@Suite(.scopedFixtures, .serialized) struct ReloadAuditTests {
  private struct Stage {
    let core: ScriptedUpstream
    let folder: TestPolicyFolder
    let gateway: GatewayProcess

    init(wrapper: (TestPolicyFolder) -> [String] = { _ in [] }) throws {
      core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
      folder = try TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:\(core.port)")],
        gateway: ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"], "access_log": NSNull()])
      gateway = try GatewayProcess(folder, wrapper: wrapper(folder))
    }

    func reload(_ client: [String: any Sendable], generation: Int) throws {
      try folder.writeClients(app: client)
      gateway.signal(SIGHUP)
      #expect(gateway.waitUntilSaid("generation \(generation) in force"))
    }

    func reloads(in folder: String) throws -> [[String: any Sendable]] {
      try AuditRecords(folder).entries.filter { $0["kind"] as? String == "reload" }
    }

    func audit(_ arguments: String...) throws -> (status: Int32, output: String, errors: String) {
      try runCommand(["audit"] + arguments + ["\(folder.statePath)/audit.log"])
    }
  }

  private func digest(of folder: String) throws -> String {
    let output = try runCommand(["check", "--policies", folder], environment: ["TEST_KEY": "k"]).output
    return String(output.trimmingCharacters(in: .newlines).suffix(64))
  }

  @Test func `each reload is an entry with digests, counts, and the owner and time of each file`() throws {
    let stage = try Stage()
    let first = try digest(of: stage.folder.path)
    try stage.reload(["scopes": [String]()], generation: 2)
    let second = try digest(of: stage.folder.path)
    try stage.reload(["scopes": ["*"]], generation: 3)
    let name = "a\"b.json"
    try FileManager.default.createDirectory(
      atPath: stage.folder.path + "/clients", withIntermediateDirectories: false)
    try #"{"clients": {"new": {"scopes": [], "instances": []}}}"#
      .write(toFile: stage.folder.path + "/clients/\(name)", atomically: true, encoding: .utf8)
    stage.gateway.signal(SIGHUP)
    #expect(stage.gateway.waitUntilSaid("generation 4 in force"))
    #expect(stage.gateway.stop() == 0)
    let reloads = try stage.reloads(in: stage.folder.statePath)
    try #require(reloads.count == 3)
    #expect(reloads.map { $0["generation"] as? Int } == [2, 3, 4])
    #expect(reloads[0]["before"] as? String == first && reloads[0]["after"] as? String == second)
    #expect(reloads[1]["before"] as? String == second && reloads[0]["gives_access"] as? Bool == false)
    #expect(reloads[0]["clients_losing"] as? Int == 1 && reloads[0]["clients_gaining"] as? Int == 0)
    #expect(reloads[1]["gives_access"] as? Bool == true && reloads[1]["clients_gaining"] as? Int == 1)
    #expect(reloads[2]["gives_access"] as? Bool == false)
    let files = reloads.map { $0["files"] as? [[String: Any]] ?? [] }
    let names = files.map { files in files.map { $0["name"] as? String } }
    #expect(names == [["clients.json"], ["clients.json"], ["clients/\(name)"]])
    let file = try #require(files[1].first)
    let attributes = try FileManager.default.attributesOfItem(atPath: stage.folder.path + "/clients.json")
    let modified = try #require(attributes[.modificationDate] as? Date)
    #expect(file["owner"] as? Int == Int(getuid()) && (file["sha256"] as? String)?.count == 64)
    let time = try #require(file["modified"] as? String)
    #expect(try Date(time, strategy: .iso8601).timeIntervalSince(modified).magnitude < 1)
    #expect(try AuditRecords.findings(stage.folder.statePath).isEmpty)
    let verified = try runCommand([
      "audit", "verify", "--key-file", keyFile(stage), "\(stage.folder.statePath)/audit.log",
    ])
    #expect(verified.status == 0 && verified.output.contains("intact"), "\(verified)")
    #expect(try stage.audit("show", "--balance", "b").status == 0)
    #expect(try stage.audit("outcomes").status == 0)
    let listed = try stage.audit("reloads").output.split(separator: "\n")
    #expect(listed.count == 3 && listed[0].contains("generation 2, \(first.prefix(12)) → \(second.prefix(12)): "))
    #expect(
      listed[0].contains("1 client loses access (app); no client gains access; clients.json (user \(getuid()), 20"))
    #expect(listed[1].contains(": 1 client gains access (app); clients.json "), "\(listed)")
    #expect(listed[2].contains(": no access changes; clients/a\"b.json "), "\(listed)")
    #expect(try stage.audit("reloads", "--json").output.split(separator: "\n").count == 3)
  }

  private func keyFile(_ stage: Stage) throws -> String {
    let path = stage.folder.statePath + "/audit.key"
    try TestPolicyFolder.key.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  @Test func `an entry names the instances that have another key, and no key`() throws {
    let stage = try Stage()
    let key = stage.folder.path + "/core.key"
    try "first-key".write(toFile: key, atomically: true, encoding: .utf8)
    try stage.folder.writeInstances(changes: ["key": ["file": "core.key"]])
    stage.gateway.signal(SIGHUP)
    #expect(stage.gateway.waitUntilSaid("generation 2 in force"))
    try "second-key".write(toFile: key, atomically: true, encoding: .utf8)
    stage.gateway.signal(SIGHUP)
    #expect(stage.gateway.waitUntilSaid("generation 3 in force"))
    #expect(stage.gateway.stop() == 0)
    let reloads = try stage.reloads(in: stage.folder.statePath)
    try #require(reloads.count == 2, "\(reloads)")
    #expect(reloads[1]["instances_with_new_keys"] as? Int == 1 && reloads[1]["new_keys"] as? [String] == ["one"])
    #expect(reloads[1]["before"] as? String == reloads[1]["after"] as? String)
    let listed = try stage.audit("reloads").output
    #expect(listed.hasSuffix(": no access changes; another key or certificate for one\n") && !listed.contains("-key"))
  }

  @Test func `a reload with new revocations only is an entry, too`() throws {
    let stage = try Stage()
    try "{".write(toFile: stage.folder.path + "/routes.json", atomically: true, encoding: .utf8)
    try #"{"revoked": {"tokens": [], "clients": ["app"]}}"#
      .write(toFile: stage.folder.path + "/revoked.json", atomically: true, encoding: .utf8)
    stage.gateway.signal(SIGHUP)
    #expect(stage.gateway.waitUntilSaid("generation 2 in force, with new revocations only"))
    #expect(stage.gateway.stop() == 0)
    let reloads = try stage.reloads(in: stage.folder.statePath)
    #expect(reloads.count == 1 && reloads[0]["clients_losing"] as? Int == 1, "\(reloads)")
    #expect((reloads[0]["files"] as? [[String: Any]])?.map { $0["name"] as? String } == ["revoked.json"])
  }

  @Test func `a disk that hangs delays no reload, and is reported`() throws {
    let stage = try Stage()
    // 9 s, for the next call of each thread.
    let strace = try Strace.inject(
      "delay_enter=9000000", into: "fdatasync", at: 1, of: stage.gateway.identifier)
    defer { strace.terminate() }
    let start = Date()
    try stage.reload(["scopes": [String]()], generation: 2)
    try stage.reload(["scopes": ["*"]], generation: 3)
    #expect(Date().timeIntervalSince(start) < 4)
    let line = "audit log: the reload to generation 2 is not on the disk after 5 s"
    #expect(stage.gateway.waitUntilSaid(line))
    let isWritten = try eventually { try stage.reloads(in: stage.folder.statePath).count == 2 }
    #expect(isWritten)
  }

  @Test(.enabled(if: MountedDisk.isPossible, "needs unshare -rm and a tmpfs"))
  func `a full disk delays no reload, is reported, and has the entry once there is space`() throws {
    let stage = try Stage { folder in MountedDisk.command(at: folder.statePath, kibibytes: 128) }
    let state = "/proc/\(stage.gateway.identifier)/root\(stage.folder.statePath)"
    #expect(FileManager.default.createFile(atPath: "\(state)/filler", contents: nil))
    let filler = try #require(FileHandle(forWritingAtPath: "\(state)/filler"))
    for _ in 0..<64 { try? filler.write(contentsOf: Data(count: 4_096)) }
    try filler.close()
    var generation = 1
    let start = Date()
    // The last block of the file may have space for some entries.
    while !stage.gateway.errors.contains("No space left on device"), generation < 30 {
      generation += 1
      try stage.reload(["scopes": generation % 2 == 0 ? [String]() : ["*"]], generation: generation)
      let isSettled = try eventually {
        try stage.gateway.errors.contains("No space left on device")
          || stage.reloads(in: state).count == generation - 1
      }
      #expect(isSettled)
    }
    #expect(generation < 30 && Date().timeIntervalSince(start) < 20)
    #expect(stage.gateway.waitUntilSaid("audit log: the reload to generation \(generation) is not on"))
    try FileManager.default.removeItem(atPath: "\(state)/filler")
    #expect(stage.gateway.waitUntilSaid("works again"))
    let isRecorded = try eventually {
      let names = try FileManager.default.contentsOfDirectory(atPath: state).filter { $0.hasPrefix("audit.log") }
      let entries = try AuditRecords(state, names.sorted()).entries
      let numbers = entries.filter { $0["kind"] as? String == "reload" }.compactMap { $0["generation"] as? Int }
      return numbers.contains(generation)
    }
    #expect(isRecorded)
  }
}
