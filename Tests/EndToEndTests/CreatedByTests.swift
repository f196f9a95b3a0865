import Foundation
import Reactor
import SandboxCore
import TestFolders
import TestSupport
import Testing

/// Who created this? Asked about what the sandbox Core creates through the program.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct CreatedByTests {
  @Test func `audit show finds a write by what it has created`() throws {
    let fixtures = try Fixtures.ofTest()
    let core = try SandboxServer(listen: .tcp(host: "127.0.0.1", port: 0), key: TestPolicyFolder.key)
    fixtures.add { core.stop() }
    guard case .ipv4(_, let port) = core.address else { return }
    let write: [String: any Sendable] = ["POST": ["scope": "proxy:write", "operation": "write"]]
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(port)")],
      gateway: ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"], "access_log": NSNull()],
      routes: Dictionary(
        uniqueKeysWithValues: ["ledgers", "balances", "identities", "transactions"].map { ("/proxy/\($0)", write) }))
    let gateway = try GatewayProcess(folder)
    func create(_ path: String, _ body: String) throws -> [String: Any] {
      let socket = try TestSocket(port: gateway.port)
      let fields = ["Connection: close", "X-Request-Id: own-\(path)"]
      try socket.send(testRequest("POST", "/proxy/\(path)?instance_id=one", fields: fields, body: body))
      var reader = TestMessageReader(socket)
      let answer = try #require(try reader.next())
      #expect(answer.status == 201, "\(answer)")
      var created = try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
      created["request"] = answer["X-Request-Id"]
      return created
    }
    let ledger = try create("ledgers", #"{"name":"l"}"#)
    let ledgerID = try #require(ledger["ledger_id"] as? String)
    let identity = try create("identities", #"{"first_name":"f"}"#)
    let balance = try create("balances", #"{"ledger_id":"\#(ledgerID)","currency":"USD"}"#)
    let payment = #""currency":"USD","description":"d","precision":100,"allow_overdraft":true"#
    let paid = try create(
      "transactions",
      #"{"amount":10.50,\#(payment),"reference":"order-1","source":"@World","destination":"@A","skip_queue":true}"#)
    let split = try create(
      "transactions",
      #"{"amount":1,\#(payment),"reference":"order-2","source":"@World","#
        + #""destinations":[{"identifier":"@B","distribution":"left"}]}"#)
    #expect(gateway.stop() == 0)
    let log = "\(folder.statePath)/audit.log"
    let asked: [(option: String, value: Any?, writes: [[String: Any]])] = [
      ("--ledger", ledgerID, [ledger, balance]), ("--identity", identity["identity_id"], [identity]),
      ("--balance", balance["balance_id"], [balance]), ("--transaction", paid["transaction_id"], [paid]),
      ("--transaction", split["transaction_id"], [split]), ("--source", "@World", [paid, split]),
      ("--destination", "@A", [paid]), ("--destination", "@B", [split]), ("--reference", "order-2", [split]),
      ("--request", "own-identities", [identity]), ("--request", paid["request"], [paid]),
    ]
    for (option, value, writes) in asked {
      let told = try runCommand(["audit", "show", "--json", option, try #require(value as? String), log])
      let found = try told.output.split(separator: "\n").map { line in
        let write = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: [String: Any]]
        #expect(write?["outcome"]?["request_id"] as? String == write?["intent"]?["request_id"] as? String)
        return write?["intent"]?["request_id"] as? String
      }
      #expect(found == writes.map { $0["request"] as? String } && told.errors.isEmpty, "\(option): \(told)")
      #expect(told.status == 0)
    }
    let text = try runCommand(["audit", "show", "--reference", "order-1", log]).output
    #expect(
      text.contains("  write  amount 10.50, currency USD, destination @A, reference order-1, source @World\n"),
      "\(text)")
    #expect(
      text.contains("\n    done, status 201, transaction_id \(paid["transaction_id"] as? String ?? ""); outcome "),
      "\(text)")
    #expect(text.contains(", the client's own-transactions, body sha256 "), "\(text)")
    let parts = try runCommand(["audit", "show", "--destination", "@B", log]).output
    #expect(
      parts.contains("source @World, destinations @B left\n") && parts.contains("\n    accepted, status 201, "),
      "\(parts)")
    let none = try runCommand(["audit", "show", "--balance", "bln_other", log])
    #expect(none.status == 0 && none.output.isEmpty && none.errors.contains("has --balance bln_other"), "\(none)")
  }
}
