import HTTP1
import Testing

@testable import Policies

/// Instances that are named by the host of a request.
@Suite struct HostTests {
  private static let policy: Policy = {
    let clients = """
      {"clients": {
        "c-all": {"scopes": ["*"], "instances": ["inst_a", "inst_b"], "default_instance": "inst_a",
          "tokens": [{"sha256": "\(Token.digest(of: "all"))"}]},
        "c-none": {"scopes": ["*"], "instances": ["inst_a", "inst_b"],
          "tokens": [{"sha256": "\(Token.digest(of: "none"))"}]},
        "c-a": {"scopes": ["*"], "instances": ["inst_a"], "tokens": [{"sha256": "\(Token.digest(of: "a"))"}]} } }
      """
    let hosts = #"["two.gateway.example", "Other_Name", "10.0.0.2", "[2001:DB8:0::2]"]"#
    let files = FolderFiles(["clients.json": clients, "instances.json": instances(b: hosts)])
    guard let policy = try? files.load().policy else { preconditionFailure("the policy of the tests is rejected") }
    return policy
  }()

  private static func instances(a: String = "[]", b: String = "[]") -> String {
    let members = #""url": "http://127.0.0.1:1", "key": {"env": "DEMO_KEY"}"#
    return """
      {"instances": {
        "inst_demo": {\(members)}, "inst_a": {\(members), "hosts": \(a)},
        "inst_b": {\(members), "hosts": \(b)} } }
      """
  }

  @Test(arguments: [
    ("two.gateway.example", "inst_b"), ("TWO.Gateway.EXAMPLE:8443", "inst_b"), ("two.gateway.example.", "inst_b"),
    ("two.gateway.example.:80", "inst_b"), ("other_name", "inst_b"), ("10.0.0.2:80", "inst_b"),
    ("[2001:db8::2]", "inst_b"), ("[2001:db8:0:0::2]:80", "inst_b"), ("[2001:db8::3]", "inst_a"),
    ("gateway.example", "inst_a"), ("two.gateway.example.org", "inst_a"), ("wo.gateway.example", "inst_a"),
    ("x.two.gateway.example", "inst_a"), ("10.0.0.20", "inst_a"), (".", "inst_a"), ("..", "inst_a"),
  ])
  func `a bare core path goes to the host's instance, else to the default`(host: String, instance: String) throws {
    let admission = try Request("GET /balances", ["X-Blnk-Key: all"], host: host).admit(by: Self.policy)
    #expect(Self.policy.instances[Int(admission.instanceIndex)].id.text == instance)
    #expect(admission.form == (instance == "inst_b" ? .byHost : .byDefault))
  }

  @Test(
    arguments: [
      ("GET /balances", "none", nil), ("GET /balances", "a", Rejection.instanceForbidden),
      ("GET /balances?instance_id=inst_b", "all", nil), ("GET /balances?instance_id=inst%5fb", "all", nil),
      ("GET /balances?instance_id=inst_a", "all", .instanceMalformed),
      ("GET /balances?instance_id=inst_a", "a", .instanceMalformed),
      ("GET /balances?instance_id=nowhere", "a", .instanceMalformed),
      ("GET /instances/inst_b/balances", "all", nil), ("GET /instances/inst_a/balances", "all", .instanceMalformed),
      ("GET /instances/nowhere/balances", "all", .instanceMalformed),
      ("GET /instances/inst_b/balances?instance_id=inst_b", "all", nil),
      ("GET /proxy/balances?instance_id=inst_b", "all", nil),
      ("GET /proxy/balances?instance_id=inst_a", "all", .instanceMalformed),
      ("GET /proxy/balances", "all", .instanceRequired),
    ] as [(String, String, Rejection?)])
  func `what path and query name must be the host's instance`(line: String, token: String, rejection: Rejection?) {
    let fields = ["Authorization: Bearer \(token)"]
    #expect(Request(line, fields, host: "two.gateway.example").rejection(by: Self.policy) == rejection)
  }

  @Test func `an absolute-form target names the host where HTTP 1.0 has no Host`() throws {
    let bytes = Array("POST http://two.gateway.example:80/balances HTTP/1.0\r\nX-Blnk-Key: all\r\n\r\n".utf8)
    var parser = RequestHeadParser(limits: HeadLimits())
    #expect(try parser.parse(bytes.span))
    #expect(Self.policy.hosts.instance(of: parser.head, bytes.span) == 2)
  }

  @Test func `finds each of many hosts, and no other`() throws {
    let names = (0..<1_000).map { "h\($0).example" }
    let hosts = HostDirectory(try names.map { [try #require(HostName($0))] } + [[]])
    for (index, name) in (names + ["h1000.example", "h.example"]).enumerated() {
      let request = Request("GET /balances", [], host: name)
      let found = hosts.instance(of: try request.parsed().head, request.bytes.span)
      #expect(found == (index < 1_000 ? Int32(index) : nil))
    }
    #expect(!hosts.isEmpty && HostDirectory([[], []]).isEmpty)
  }

  @Test(arguments: [
    ("x.example:80", false), ("*.example", false), ("", false), ("a b", false), ("http://x", false),
    ("x.example.", false),
    ("-x", false), ("1.2.3", false), ("x/y", false), ("[::1]:80", false), ("[1.2.3.4]", false), ("two.example", true),
    ("[::1]", true), ("::1", true), ("127.0.0.1", true), ("localhost", true),
  ])
  func `a host is a name or an address without a port`(text: String, isHost: Bool) throws {
    #expect((HostName(text) != nil) == isHost)
    let findings = try FolderFiles(["instances.json": Self.instances(a: "[\"\(text)\"]")]).load().findings
    #expect(findings.map(\.message) == (isHost ? [] : [HostName.rule]))
    if !isHost { #expect(findings.first?.keyPath == "instances.inst_a.hosts[0]") }
  }

  @Test(arguments: [("x.example", "X.Example"), ("::1", "[0:0::1]"), ("::ffff:1.2.3.4", "1.2.3.4")])
  func `one host of two instances is an error with both places`(first: String, second: String) throws {
    let text = Self.instances(a: "[\"\(first)\"]", b: "[\"\(second)\"]")
    let result = try FolderFiles(["instances.json": text]).load()
    #expect(
      result.findings.map(\.description) == [
        "policies/instances.json:3: instances.inst_b.hosts[0]: is the same host as instances.inst_a.hosts[0] in "
          + "policies/instances.json:2"
      ])
    #expect(result.policy == nil)
  }
}
