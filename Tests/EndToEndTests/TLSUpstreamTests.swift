import Foundation
import LoopSupport
import TestFolders
import TestSupport
import Testing

/// https instances, with nginx as a real TLS server and a small CA made for the test.
@Suite(
  .scopedFixtures, .serialized,
  .enabled(if: TestAuthority.shared != nil && NginxCore.isAtHand, "nginx or openssl is not installed"))
struct TLSUpstreamTests {
  private let authority: TestAuthority

  init() throws { authority = try #require(TestAuthority.shared) }

  private func ask(
    certificate: String, tls: [String: any Sendable], asksForClients: Bool = false, times: Int = 1
  ) throws -> (answers: [TestMessage?], errors: String) {
    let nginx = try NginxCore.start(authority, certificate: certificate, asksForClients: asksForClients)
    let folder = try TestPolicyFolder(
      instances: [("one", "https://127.0.0.1:\(nginx.port)")], instance: ["tls": tls])
    let gateway = try GatewayProcess(folder)
    let socket = try TestSocket(port: gateway.port)
    var reader = TestMessageReader(socket)
    var answers: [TestMessage?] = []
    for _ in 0..<times {
      try socket.send(testRequest("POST", "/proxy/balances?instance_id=one", body: #"{"a":1}"#))
      answers.append(try reader.next())
    }
    gateway.stop()
    let faults = try folder.records().compactMap { $0["fault"] as? String }
    if !faults.isEmpty { #expect(gateway.errors.contains(faults[0])) }
    #expect(faults.count == answers.count { $0?.status == 502 })
    return (answers, gateway.errors)
  }

  @Test func `a certificate of the private CA for the right name is trusted, and the connection is kept`() throws {
    let tls: [String: any Sendable] = ["ca_file": "\(authority.folder)/ca.pem", "server_name": "core.test"]
    let (answers, _) = try ask(certificate: "good", tls: tls, times: 5)
    #expect(answers.allSatisfy { $0?.status == 200 })
    // nginx numbers the requests of a connection.
    #expect(answers.map { $0?["X-Request-Of-Connection"] } == ["1", "2", "3", "4", "5"])
    #expect(answers[0]?["X-Server-Name"] == "core.test" && answers[0]?["X-Protocol"]?.hasPrefix("TLSv1.") == true)
  }

  static let refused: [(String, String, String, String)] = [
    ("expired", "ca", "core.test", "certificate has expired"),
    ("good", "ca", "other.test", "other.test"),
    ("good", "other-ca", "core.test", "unable to get local issuer certificate"),
  ]

  @Test(arguments: refused)
  func `an invalid certificate is a fault; the log has the reason, the response does not`(
    certificate: String, authorityName: String, name: String, reason: String
  ) throws {
    let tls: [String: any Sendable] = ["ca_file": "\(authority.folder)/\(authorityName).pem", "server_name": name]
    let (answers, errors) = try ask(certificate: certificate, tls: tls)
    let answer = try #require(answers[0])
    #expect(answer.status == 502 && answer.member("code") == "GATEWAY_UPSTREAM_TLS_FAILED")
    #expect(answer.member("outcome") == "not_sent")
    #expect(errors.contains(reason), "\(errors)")
    #expect(!answer.bodyText.contains(reason) && !answer.bodyText.contains("certificate"))
  }

  @Test func `a private CA is not in the system's trust store`() throws {
    let (answers, errors) = try ask(certificate: "good", tls: ["server_name": "core.test"])
    #expect(answers[0]?.member("code") == "GATEWAY_UPSTREAM_TLS_FAILED" && errors.contains("certificate"))
  }

  @Test func `a server that asks for a certificate gets the gateway's`() throws {
    var tls: [String: any Sendable] = ["ca_file": "\(authority.folder)/ca.pem", "server_name": "core.test"]
    #expect(try ask(certificate: "good", tls: tls, asksForClients: true).answers[0]?.status == 400)
    tls["cert_file"] = "\(authority.folder)/client.pem"
    tls["key_file"] = "\(authority.folder)/client.key"
    let (answers, _) = try ask(certificate: "good", tls: tls, asksForClients: true)
    #expect(answers[0]?.status == 200 && answers[0]?["X-Client"] == "CN=gateway")
  }

  @Test(
    .enabled(if: ScriptedTLSServer.isThere, "python3 is not installed"),
    arguments: [ScriptedTLSServer.Script.endsWithCloseNotify, .endsWithoutCloseNotify])
  func `a response without a length is complete only with close_notify`(script: ScriptedTLSServer.Script) throws {
    let core = try ScriptedTLSServer(authority, script, "1.3")
    let tls: [String: any Sendable] = ["ca_file": "\(authority.folder)/ca.pem", "server_name": "core.test"]
    let folder = try TestPolicyFolder(
      instances: [("one", "https://127.0.0.1:\(core.port)")], instance: ["tls": tls])
    let gateway = try GatewayProcess(folder)
    let socket = try TestSocket(port: gateway.port)
    var reader = TestMessageReader(socket)
    try socket.send(testRequest("GET", "/proxy/balances?instance_id=one"))
    let answer = try? reader.next()
    gateway.stop()
    let record = try #require(try folder.records().first)
    if script == .endsWithCloseNotify {
      #expect(answer?.body.count == 20_000 && record["code"] == nil)
    } else {
      #expect(answer == nil, "the response is cut")
      #expect(record["code"] as? String == "GATEWAY_ANSWER_CUT")
      #expect(record["fault"] as? String == "TLS ended without close_notify")
    }
  }
}

/// nginx as an https Core that shows what it receives.
private final class NginxCore: Sendable {
  let port: UInt16
  private let process = Process()
  private let folder: TemporaryFolder

  static let path = "/usr/sbin/nginx"
  static var isAtHand: Bool { FileManager.default.isExecutableFile(atPath: path) }

  struct NotStarted: Error {}

  /// Tries again if another process has taken the free port.
  static func start(_ authority: TestAuthority, certificate: String, asksForClients: Bool) throws -> NginxCore {
    for _ in 0..<4 {
      let core = try NginxCore(authority, certificate: certificate, asksForClients: asksForClients)
      if core.isServing { return core }
    }
    throw NotStarted()
  }

  private init(_ authority: TestAuthority, certificate: String, asksForClients: Bool) throws {
    let fixtures = try Fixtures.ofTest()
    let free = try ListeningSocket(backlog: 1)
    port = free.port
    free.stop()
    folder = try TemporaryFolder()
    let client = asksForClients ? "ssl_verify_client on; ssl_client_certificate \(authority.folder)/ca.pem;" : ""
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map { "\($0)_temp_path \(folder.path)/\($0);" }.joined(separator: " ")
    try """
    daemon off; master_process off; pid \(folder.path)/pid; error_log \(folder.path)/error.log;
    events { worker_connections 64; }
    http {
      access_log off; \(temporary)
      server {
        listen 127.0.0.1:\(port) ssl;
        ssl_certificate \(authority.folder)/\(certificate).pem;
        ssl_certificate_key \(authority.folder)/\(certificate).key;
        \(client)
        location / {
          add_header X-Request-Of-Connection $connection_requests;
          add_header X-Server-Name $ssl_server_name;
          add_header X-Protocol $ssl_protocol;
          add_header X-Client $ssl_client_s_dn;
          return 200 "{}";
        }
      }
    }
    """.write(to: folder.url.appending(path: "nginx.conf"), atomically: true, encoding: .utf8)
    process.executableURL = URL(fileURLWithPath: Self.path)
    process.arguments = ["-p", folder.path, "-c", folder.path + "/nginx.conf", "-e", folder.path + "/error.log"]
    process.standardInput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    fixtures.add(stop: stop)
  }

  private var isServing: Bool {
    eventually { !process.isRunning || (try? TestSocket(port: port)) != nil } && process.isRunning
  }

  @Sendable private func stop() {
    // A process started from a Dispatch thread may block SIGTERM.
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
