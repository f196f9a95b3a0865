import Foundation
import TestFolders
import TestSupport
import Testing

/// Keys in $CREDENTIALS_DIRECTORY, where systemd puts what LoadCredential= names.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct CredentialTests {
  private func ask(_ port: UInt16) throws -> Int? {
    let socket = try TestSocket(port: port)
    try socket.send(testRequest("POST", "/proxy/balances?instance_id=one", fields: ["Connection: close"], body: "{}"))
    var reader = TestMessageReader(socket)
    return try reader.next()?.status
  }

  @Test func `key, admin token and audit key are credentials, and a changed one takes effect like a file`() throws {
    try withTemporaryFolder { credentials in
      for name in ["core", "admin", "audit"] { try credentials.write("\(name)-secret\n", to: name) }
      let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
      let gateway = try GatewayProcess(
        TestPolicyFolder(
          instances: [("one", "http://127.0.0.1:\(core.port)")], instance: ["key": ["credential": "core"]],
          gateway: [
            "watch": true, "audit_log": "audit.log", "audit_key": ["credential": "audit"],
            "admin": ["address": "127.0.0.1:0", "token": ["credential": "admin"]] as [String: any Sendable],
          ]),
        environment: ["CREDENTIALS_DIRECTORY": credentials.path])
      #expect(try ask(gateway.port) == 200)
      #expect(core.requests.last?.message["X-Blnk-Key"] == "core-secret")
      let admin = try #require(gateway.adminPort)
      #expect(try TestMessage.asking(port: admin, "/status")?.status == 401)
      let token = ["Authorization: Bearer admin-secret"]
      let status = try #require(try TestMessage.asking(port: admin, "/status", fields: token))
      #expect(status.status == 200 && status.bodyText.contains("\"writable\":true"))

      try credentials.write("new-secret\n", to: "core")
      #expect(gateway.waitUntilSaid("generation 2 in force"))
      #expect(try ask(gateway.port) == 200)
      #expect(core.requests.last?.message["X-Blnk-Key"] == "new-secret")
      #expect(!gateway.errors.contains("-secret"))
      #expect(gateway.stop() == 0)
    }
  }

  @Test func `an instance whose credential is missing is not served, with the line of the unit that is missing`() throws
  {
    try withTemporaryFolder { credentials in
      let folder = try TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:1")], instance: ["key": ["credential": "core"]])
      let without = try GatewayProcess(folder)
      #expect(try ask(without.port) == 503)
      #expect(
        without.errors.contains(
          "instances.one.key.credential: $CREDENTIALS_DIRECTORY is not set to an absolute path; start the gateway with "
            + "LoadCredential=core:PATH in its systemd unit, or name a file with {\"file\": \"PATH\"}\n"))
      let empty = try GatewayProcess(folder, environment: ["CREDENTIALS_DIRECTORY": credentials.path])
      #expect(try ask(empty.port) == 503)
      #expect(
        empty.errors.contains(
          "the credential core (\(credentials.path)/core) does not exist; add LoadCredential=core:PATH to the gateway's "
            + "systemd unit and restart it\n"))
    }
  }
}
