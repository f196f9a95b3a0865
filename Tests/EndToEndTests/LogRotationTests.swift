import Foundation
import TestSupport
import Testing

/// SIGUSR1, as logrotate sends it.
@Suite(.scopedFixtures) struct LogRotationTests {
  @Test func `a rotation by SIGUSR1 loses no line while requests continue`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try TestPolicyFolder(instances: [("one", "http://127.0.0.1:\(core.port)")])
    let gateway = try GatewayProcess(folder)
    let socket = try TestSocket(port: gateway.port)
    var reader = TestMessageReader(socket)
    for round in 0..<5 {
      for _ in 0..<40 {
        try socket.send(testRequest("GET", "/proxy/balances?instance_id=one"))
        #expect(try reader.next()?.status == 200)
      }
      try FileManager.default.moveItem(atPath: folder.accessLogPath, toPath: folder.statePath + "/old-\(round)")
      gateway.signal(SIGUSR1)
      #expect(isThere(folder.accessLogPath))
    }
    #expect(gateway.stop() == 0)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.statePath)
    let lines = try names.flatMap { name in
      try String(contentsOfFile: folder.statePath + "/" + name, encoding: .utf8).split(separator: "\n")
    }
    let ids = lines.compactMap { $0.firstMatch(of: /"request_id":"([0-9a-f]{32})"/)?.1 }
    #expect(names.count == 6 && lines.count == 200 && Set(ids).count == 200)
  }

  /// A deleted file takes space on a full disk until it is closed.
  @Test func `a rotation closes the old files, including the first ones`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")],
      gateway: ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"]])
    let gateway = try GatewayProcess(folder)
    let logs = [folder.accessLogPath, folder.statePath + "/audit.log"]
    let socket = try TestSocket(port: gateway.port)
    var reader = TestMessageReader(socket)
    for round in 0..<2 {
      try socket.send(testRequest("PUT", "/proxy/balances/b/identity?instance_id=one", body: "{}"))
      #expect(try reader.next()?.status == 200)
      for log in logs { try FileManager.default.moveItem(atPath: log, toPath: "\(log).\(round)") }
      gateway.signal(SIGUSR1)
      #expect(logs.allSatisfy(isThere))
      #expect(eventually { gateway.openFiles.filter { $0.hasPrefix(folder.statePath) }.sorted() == logs.sorted() })
    }
  }

  private func isThere(_ path: String) -> Bool { eventually { FileManager.default.fileExists(atPath: path) } }
}
