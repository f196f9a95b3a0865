import Foundation
import TestFolders
import Testing

/// `check` and `explain` where the production keys are not, and what `explain` says by its exit code.
@Suite(.timeLimit(.minutes(10))) struct WithoutKeysTests {
  private func keyless() throws -> PolicyCopy {
    let copy = try PolicyCopy(
      gateway: #"{ "audit_log": "/tmp/audit.log", "audit_key": {"file": "/nowhere/audit.key"} }"#)
    let instances = """
      { "instances": {
        "inst_demo": { "url": "https://core.test", "key": [{"env": "NOT_SET"}, {"file": "/nowhere/core.key"}],
          "tls": { "ca_file": "ca.pem", "cert_file": "cert.pem", "key_file": "key.pem" } },
        "inst_second": { "url": "http://127.0.0.1:5002", "key": {"env": "NOT_SET"} } } }
      """
    try Data(instances.utf8).write(to: URL(filePath: "\(copy.path)/instances.json"))
    return copy
  }

  @Test func `check looks at no key and no TLS file, and says how many`() throws {
    let folder = try keyless()
    let outcome = try Program.run(["check", "--strict", "--without-keys", "--policies", folder.path])
    #expect(outcome.exitCode == 0, "\(outcome.output)")
    #expect(
      outcome.output.hasPrefix("\(folder.path): note: 3 keys and 3 TLS files not read because of --without-keys; "))
    #expect(try Program.run(["check", "--policies", folder.path]).exitCode == 1)
    let shipped = try Program.run(["check", "--without-keys", "--policies", Program.policies])
    #expect(shipped.output.hasPrefix("\(Program.policies): note: 2 keys not read "))
    let json = try Program.run(["check", "--without-keys", "--json", "--policies", folder.path])
    #expect(json.exitCode == 0 && json.output.contains(#""ok":true"#) && json.output.contains("3 keys and 3 TLS files"))
  }

  @Test(arguments: [#"{"env": "not a name"}"#, #"{"file": 5}"#, #""the-key-itself""#, "{}"])
  func `check still rejects an invalid source of a key`(key: String) throws {
    let folder = try PolicyCopy(gateway: "{}")
    let instances = #"{ "instances": { "inst_demo": { "url": "http://127.0.0.1:1", "key": \#(key) } } }"#
    try Data(instances.utf8).write(to: URL(filePath: "\(folder.path)/instances.json"))
    let outcome = try Program.run(["check", "--without-keys", "--policies", folder.path])
    #expect(outcome.exitCode == 1 && outcome.output.contains("instances.inst_demo.key"))
  }

  @Test func `serve reads every key`() throws {
    let outcome = try Program.run(["serve", "--without-keys", "--policies", Program.policies])
    #expect(outcome.exitCode == 2 && outcome.errors.contains("unknown option --without-keys"))
  }

  @Test func `explain exits 1 where the request would be rejected, unless --exit-zero is given`() throws {
    let folder = try keyless()
    func explain(_ client: String, _ method: String, _ more: String...) throws -> Program.Outcome {
      try Program.run(
        [
          "explain", "--without-keys", "--policies", folder.path, "--client", client, "--method", method,
          "--target", "/proxy/balances?instance_id=inst_demo",
        ] + more)
    }
    let relayed = try explain("demo-reader", "GET")
    #expect(relayed.exitCode == 0 && relayed.output.contains("relayed: GET /balances"), "\(relayed.errors)")
    #expect(relayed.errors.contains("note: 3 keys and 3 TLS files not read"))
    let rejected = try explain("demo-reader", "POST")
    #expect(rejected.exitCode == 1 && rejected.output.hasSuffix("rejected: 403 GATEWAY_SCOPE_INSUFFICIENT\n"))
    #expect(try explain("demo-reader", "POST", "--json").exitCode == 1)
    let zero = try explain("demo-reader", "POST", "--exit-zero")
    #expect(zero.exitCode == 0 && zero.output == rejected.output)
    #expect(try explain("unknown", "GET", "--exit-zero").exitCode == 1)
  }
}
