import Foundation
import TestSupport
import Testing

/// What operators see while a process reloads and drains.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct OperatorProcessTests {
  private func ask(_ port: UInt16, _ target: String, token: String? = TestPolicyFolder.token) throws -> Int? {
    let socket = try TestSocket(port: port)
    try socket.send(testRequest("GET", target, fields: ["Connection: close"], token: token, host: "127.0.0.1:\(port)"))
    var reader = TestMessageReader(socket)
    return try reader.next()?.status
  }

  @Test func `during drain_delay_s readyz is 503 and requests are served`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")],
      gateway: [
        "admin": "127.0.0.1:0", "health_on_listen": true, "timeouts": ["drain_delay_s": 5],
      ])
    let gateway = try GatewayProcess(folder)
    let admin = try #require(gateway.adminPort)
    #expect(try ask(admin, "/readyz") == 200 && ask(gateway.port, "/readyz", token: nil) == 200)
    let held = try TestSocket(port: gateway.port)
    var reader = TestMessageReader(held)
    gateway.signal(SIGTERM)
    #expect(gateway.waitUntilSaid("draining"))
    #expect(try eventually { try ask(gateway.port, "/readyz", token: nil) == 503 })
    #expect(try ask(admin, "/readyz") == 503 && ask(admin, "/livez") == 200)
    #expect(try ask(gateway.port, "/livez", token: nil) == 200)
    #expect(try ask(gateway.port, "/proxy/balances?instance_id=one") == 200)
    try held.send(testRequest("GET", "/proxy/balances?instance_id=one"))
    let last = try #require(try reader.next())
    #expect(last.status == 200 && last["Connection"] == "close")
    #expect(try reader.next() == nil && !held.wasReset())
    for (port, target, token) in [
      (gateway.port, "/nowhere", TestPolicyFolder.token), (gateway.port, "/proxy/balances?instance_id=one", nil),
      (gateway.port, "/livez", nil), (admin, "/livez", nil), (admin, "/status", nil),
    ] {
      let socket = try TestSocket(port: port)
      try socket.send(testRequest("GET", target, token: token, host: "127.0.0.1:\(port)"))
      let response = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
      #expect(response.contains("\r\nConnection: close\r\n"), "\(target)")
    }
    #expect(gateway.waitForEnd() == 0)
  }

  @Test func `a failed reload shows in metrics and status until one succeeds`() throws {
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:1")], gateway: ["admin": "127.0.0.1:0"])
    let gateway = try GatewayProcess(folder)
    let admin = try #require(gateway.adminPort)
    func state() throws -> (samples: [String: Double], policy: [String: Any]) {
      let samples = try #require(try TestMessage.asking(port: admin, "/metrics")).samples
      let body = try #require(try TestMessage.asking(port: admin, "/status")).body
      let status = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
      return (samples, try #require(status["policy"] as? [String: Any]))
    }
    let first = try state()
    #expect(first.samples["blnk_gateway_config_last_reload_successful"] == 1)
    #expect((first.policy["sha256"] as? String)?.utf8.count == 64)
    try Data("{\"clients\": {\n\"app\": {\"scope\": []}}}".utf8).write(
      to: URL(filePath: folder.path + "/clients.json"))
    gateway.signal(SIGHUP)
    #expect(gateway.waitUntilSaid("keep their last good content"))
    let partial = try state()
    #expect(partial.samples["blnk_gateway_config_last_reload_successful"] == 0)
    let faults = partial.policy["faults"] as? [String]
    #expect(partial.samples["blnk_gateway_policy_faults"] == faults.map { Double($0.count) })
    #expect(faults?[0].contains("clients.json:2: clients.app.scope: unknown key") == true)
    #expect(partial.policy["sha256"] as? String == first.policy["sha256"] as? String)
    try Data("{\n\"routs\": {}}".utf8).write(to: URL(filePath: folder.path + "/routes.json"))
    gateway.signal(SIGHUP)
    #expect(gateway.waitUntilSaid("generation 2 stays in force"))
    let failed = try state()
    #expect(failed.samples["blnk_gateway_config_last_reload_successful"] == 0)
    #expect(failed.samples["blnk_gateway_reloads_total{result=\"refused\"}"] == 1)
    let error = (failed.policy["last_reload_error"] as? [String: Any])?["message"] as? String
    #expect(error?.contains("routes.json:2: routs: unknown key") == true)
    #expect(failed.policy["sha256"] as? String == first.policy["sha256"] as? String)
    try folder.writeClients(app: ["name": "new"])
    try FileManager.default.removeItem(atPath: folder.path + "/routes.json")
    gateway.signal(SIGHUP)
    #expect(gateway.waitUntilSaid("generation 3 in force"))
    let second = try state()
    #expect(second.samples["blnk_gateway_config_last_reload_successful"] == 1)
    #expect(second.samples["blnk_gateway_policy_generation"] == 3 && second.policy["last_reload_error"] == nil)
    #expect(second.policy["sha256"] as? String != first.policy["sha256"] as? String)
    #expect(gateway.stop() == 0)
  }
}
