import Foundation
import TestFolders
import TestSupport
import Testing

/// `health` with real gateways, and with other servers.
@Suite(.scopedFixtures, .serialized) struct HealthProcessTests {
  private func health(_ arguments: String...) throws -> (status: Int32, output: String, errors: String) {
    let start = ContinuousClock.now
    let outcome = try runCommand(["health"] + arguments)
    // The bound of 2 s, and the start of a debug build on a busy machine.
    #expect(ContinuousClock.now - start < .seconds(6))
    #expect(outcome.output.isEmpty)
    return outcome
  }

  private func folder(_ gateway: [String: any Sendable]) throws -> TestPolicyFolder {
    try TestPolicyFolder(instances: [("one", "http://127.0.0.1:1")], gateway: gateway)
  }

  @Test func `a gateway is ready until it drains, and alive while it does`() throws {
    let root = try TemporaryFolder()
    let policies = try folder([
      "admin": "unix:\(root.path("admin.sock"))", "timeouts": ["drain_s": 30, "drain_delay_s": 4],
    ])
    let before = try health("--policies", policies.path)
    #expect(before.status == 1, "\(before)")
    #expect(
      before.errors
        == "error: health: cannot reach the gateway at unix:\(root.path("admin.sock")): No such file or directory\n")
    let gateway = try GatewayProcess(policies)
    #expect(gateway.waitUntilSaid("admin endpoint on unix:"))
    for arguments in [[], ["--live"]] {
      #expect(try runCommand(["health", "--policies", policies.path] + arguments) == (0, "", ""))
    }
    gateway.signal(SIGTERM)
    #expect(try eventually { try health("--policies", policies.path).status == 1 })
    let draining = try health("--url", "unix:\(root.path("admin.sock"))")
    #expect(
      draining.errors
        == "error: health: unix:\(root.path("admin.sock")) answers /readyz with 503: draining\n", "\(draining)")
    #expect(try health("--policies", policies.path, "--live").status == 0)
  }

  @Test func `asks the address of gateway.json without its token, or a listener that answers`() throws {
    let gateway = try GatewayProcess(
      folder([
        "admin": ["address": "127.0.0.1:0", "token": ["env": "TEST_KEY"]] as [String: any Sendable],
        "health_on_listen": true,
      ]))
    let port = gateway.adminPort ?? 0
    #expect(try health("--url", "http://127.0.0.1:\(port)").status == 0)
    #expect(try health("--url", "http://localhost:\(gateway.port)/").status == 0)
    // The command's environment lacks the admin token.
    let named = try folder([
      "admin": ["address": "127.0.0.1:\(port)", "token": ["env": "ABSENT"]] as [String: any Sendable]
    ])
    #expect(try health("--policies", named.path).status == 0)
    let plain = try GatewayProcess(folder(["health_on_listen": false]))
    let proxy = try health("--url", "http://127.0.0.1:\(plain.port)")
    #expect(proxy.status == 1 && proxy.errors.contains("answers /readyz with status 401, unlike a gateway"), "\(proxy)")
  }

  @Test(arguments: [
    ("SSH-2.0-OpenSSH_9.2\r\n", "sent no valid HTTP response"), ("", "sent no valid HTTP response"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "sent no valid HTTP response"),
    ("HTTP/1.1 503 Busy\r\nContent-Length: 8\r\n\r\nwaiting\n", "answers /readyz with 503: waiting"),
    ("HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\n\u{1b}[m", "answers /readyz with 503"),
    (
      "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
      "answers /readyz with status 404, unlike a gateway; is this its "
        + "admin address?"
    ),
    (
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
      "answers /readyz with status 200, unlike a gateway; is this "
        + "its admin address?"
    ),
  ])
  func `has a reason for each server that is not a healthy gateway`(reply: String, reason: String) throws {
    let server = try RawUpstream { socket in
      _ = try? socket.receive()
      try? socket.send(reply)
      socket.endOutput()
    }
    let outcome = try health("--url", "http://127.0.0.1:\(server.port)")
    #expect(outcome.status == 1)
    #expect(outcome.errors == "error: health: 127.0.0.1:\(server.port) \(reason)\n", "\(outcome.errors)")
  }

  @Test func `waits 2 s at most, also for a server that sends a byte now and then, or accepts no connection`() throws {
    let silent = try RawUpstream { socket in _ = try? socket.receiveToEnd() }
    let slow = try RawUpstream { socket in
      for byte in Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".utf8) {
        guard (try? socket.send([byte])) != nil else { return }
        Thread.sleep(forTimeInterval: 0.3)
      }
    }
    let full = try FullBacklog()
    for port in [silent.port, slow.port, full.port] {
      let start = ContinuousClock.now
      let outcome = try health("--url", "http://127.0.0.1:\(port)")
      #expect(ContinuousClock.now - start >= .milliseconds(1_900))
      #expect(outcome.status == 1)
      #expect(outcome.errors == "error: health: 127.0.0.1:\(port) did not answer within 2 s\n", "\(outcome.errors)")
    }
  }

  @Test(arguments: [
    (
      ["admin": NSNull()] as [String: any Sendable],
      "/gateway.json has no valid \"admin\" address; name the gateway with --url"
    ),
    (["admin": "127.0.0.1:0"], "\"admin\" has port 0, so its port is unknown; name the gateway with --url"),
  ])
  func `says what gateway.json lacks`(settings: [String: any Sendable], reason: String) throws {
    let policies = try folder(settings)
    let outcome = try health("--policies", policies.path)
    #expect(outcome.status == 1 && outcome.errors.hasSuffix("\(reason)\n"), "\(outcome.errors)")
  }

  @Test func `refuses an address that it cannot ask`() throws {
    for url in [
      "127.0.0.1:1", "http://gateway:9901", "http://127.0.0.1", "http://127.0.0.1:0", "http://127.0.0.1:1/readyz",
    ] {
      let outcome = try health("--url", url)
      #expect(
        outcome.status == 2 && outcome.errors.contains("--url must be http://IP:PORT or unix:/path"), "\(outcome)")
    }
    #expect(try health("--url", "https://127.0.0.1:1").errors.contains("https:// is not supported"))
    #expect(
      try health("--url", "http://127.0.0.1:1", "--policies", "x").errors.contains("give either --policies or --url"))
    #expect(try health("--policies", "/nowhere").errors.contains("/nowhere: no such folder; "))
  }
}
