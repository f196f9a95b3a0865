import Digests
import Foundation
import TestFolders
import Testing

@testable import Policies

/// Which policy is in force after a folder with faults is read again.
@Suite struct FolderPolicyTests {
  /// A folder with two tenants, each with its own instance and client, over several readings.
  private final class Stage {
    let files: TemporaryFolder
    private var policy = FolderPolicy()

    init() throws {
      files = try TemporaryFolder()
      for folder in ["clients", "instances"] { try files.makeFolder(folder) }
      try files.write("{}", to: "gateway.json")
      for tenant in ["acme", "gamma"] {
        try write(tenant)
        try files.write("key of \(tenant)", to: "\(tenant).key")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: files.path("\(tenant).key"))
      }
    }

    func write(_ tenant: String, tokens: [String]? = nil, of instance: String? = nil) throws {
      try files.write(
        #"{"instances": {"inst_\#(tenant)": {"url": "http://127.0.0.1:5001", "key": {"file": "\#(tenant).key"}}}}"#,
        to: "instances/\(tenant).json")
      let tokens = (tokens ?? [tenant]).map { #"{"sha256": "\#(sha256($0))", "note": "n"}"# }.joined(separator: ",")
      try files.write(
        #"{"clients": {"\#(tenant)": {"scopes": ["proxy:read"], "instances": ["inst_\#(instance ?? tenant)"], "tokens": ["#
          + tokens + #"], "default_instance": "inst_\#(instance ?? tenant)"}}}"#, to: "clients/\(tenant).json")
    }

    func revoke(tokens: [String] = [], clients: [String] = []) throws {
      let digests = tokens.map { "\"\(sha256($0))\"" }.joined(separator: ",")
      let names = clients.map { "\"\($0)\"" }.joined(separator: ",")
      try files.write(#"{"revoked": {"tokens": [\#(digests)], "clients": [\#(names)]}}"#, to: "revoked.json")
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: files.path(name)) }

    /// - Returns: what is in force, and the errors.
    func read() throws -> (policy: Policy?, errors: [Finding], isTaken: Bool) {
      let reading = FolderReading(PolicyFolder(path: files.path, stateFolder: "/nonexistent", environment: [:]))
      var next = policy
      let result = next.read(reading, now: UnixSeconds(1_800_000_000))
      policy = result.policy == nil ? policy.withRevocations(of: next) : next
      return (policy.lastGood, result.findings.filter { $0.severity == .error }, result.policy != nil)
    }

    func answer(_ tenant: String, token: String? = nil, by policy: Policy?) throws -> Rejection? {
      let request = Request(
        "GET /proxy/balances?instance_id=inst_\(tenant)", ["Authorization: Bearer \(token ?? tenant)"])
      var caches = TokenCaches()
      return request.rejection(&caches, by: try #require(policy))
    }
  }

  static func sha256(_ token: String) -> String { SHA256.digest(of: Array(token.utf8).span).hex }

  // MARK: At the start

  @Test func `an instance without its key is misconfigured, and all others are served`() throws {
    let stage = try Stage()
    try stage.remove("gamma.key")
    let (policy, errors, isTaken) = try stage.read()
    #expect(isTaken && errors.count == 1 && errors[0].isContained && errors[0].file.hasSuffix("instances/gamma.json"))
    #expect(try stage.answer("acme", by: policy) == nil)
    #expect(try stage.answer("gamma", by: policy) == .instanceMisconfigured)
    #expect(policy?.instances.map(\.isMisconfigured) == [false, true])
    #expect(policy?.instances[1].fault?.contains("gamma.key does not exist") == true)
  }

  @Test func `the instances of a file that cannot be read are misconfigured, its clients unknown`() throws {
    let stage = try Stage()
    try stage.files.write("{", to: "instances/gamma.json")
    var (policy, errors, _) = try stage.read()
    #expect(errors.count == 1 && errors[0].isContained)
    #expect(try stage.answer("gamma", by: policy) == .instanceMisconfigured)
    try stage.files.write("{", to: "clients/gamma.json")
    (policy, errors, _) = try stage.read()
    #expect(errors.count == 2)
    let fresh = try Stage()
    try fresh.files.write("{", to: "clients/gamma.json")
    #expect(try fresh.answer("gamma", by: fresh.read().policy) == .tokenUnknown)
    #expect(try fresh.answer("acme", by: fresh.read().policy) == nil)
  }

  @Test(arguments: ["instances/acme.json", "clients/acme.json", "gateway.json"])
  func `a key file that is one of the folder's own files is just a file`(name: String) throws {
    let stage = try Stage()
    try stage.files.write(
      #"{"instances": {"inst_gamma": {"url": "http://127.0.0.1:5001", "key": {"file": "\#(name)"}}}}"#,
      to: "instances/gamma.json")
    let (policy, _, isTaken) = try stage.read()
    #expect(isTaken && policy?.instances[1].keys.first?.reveal().first == UInt8(ascii: "{"))
  }

  @Test(arguments: ["gateway.json", "routes.json", "revoked.json"])
  func `other files reject the whole`(name: String) throws {
    let stage = try Stage()
    try stage.files.write("{", to: name)
    let (policy, _, isTaken) = try stage.read()
    #expect(policy == nil && !isTaken)
  }

  // MARK: At a reload

  @Test func `a revocation takes effect though another tenant's key has gone`() throws {
    let stage = try Stage()
    _ = try stage.read()
    try stage.remove("gamma.key")
    try stage.write("acme", tokens: ["new"])
    let (policy, errors, isTaken) = try stage.read()
    #expect(isTaken && errors.count == 1)
    #expect(try stage.answer("acme", by: policy) == .tokenUnknown)
    #expect(try stage.answer("acme", token: "new", by: policy) == nil)
    #expect(try stage.answer("gamma", by: policy) == nil)
    #expect(policy?.instances[1].fault != nil && policy?.instances[1].isMisconfigured == false)
    #expect(policy?.instances[1].keys[0].reveal() == Array("key of gamma".utf8))
  }

  @Test(arguments: ["clients/gamma.json", "instances/gamma.json"])
  func `the last good content of a broken file stays in force until it is repaired`(name: String) throws {
    let stage = try Stage()
    var (policy, _, _) = try stage.read()
    let digest = policy?.digest
    let good = try String(contentsOfFile: stage.files.path(name), encoding: .utf8)
    try stage.files.write(String(good.dropLast(5)), to: name)
    for _ in 0..<2 {
      let (current, errors, isTaken) = try stage.read()
      policy = current
      #expect(isTaken && errors.count == 1 && errors[0].isContained)
      #expect(try stage.answer("acme", by: policy) == nil && stage.answer("gamma", by: policy) == nil)
      #expect(policy?.digest == digest, "what is in force is what was")
    }
    let client = try #require(policy?.clients.first { $0.id.text == "gamma" })
    #expect(client.defaultInstance == 1 && client.instances == .only([1]) && client.name == "gamma")
    #expect(policy?.tokens.entries.count == 2)
    try stage.files.write(good, to: name)
    let (repaired, errors, _) = try stage.read()
    #expect(errors.isEmpty && repaired?.digest == digest && repaired?.instances.allSatisfy { $0.fault == nil } == true)
  }

  @Test(arguments: [
    #"{"instances": {"inst_gamma": {"url": "http://127.0.0.1:1", "url": "http://127.0.0.1:2", "key": {"file": "gamma.key"}}}}"#,
    #"{"instances": {"inst_gamma": {"url": "http://127.0.0.1:1", "key": {"file": "gamma.key"}}, "inst_gamma": {"url": "http://127.0.0.1:2", "key": {"file": "gamma.key"}}}}"#,
    #"{"instances": {"inst_gamma": {"url": "http://127.0.0.1:1", "key": {"file": "gamma.key"}}}, "instance": {}}"#,
  ])
  func `a file of instances with a repeated or an unknown key takes nothing into force`(text: String) throws {
    let stage = try Stage()
    _ = try stage.read()
    try stage.files.write(text, to: "instances/gamma.json")
    let (policy, errors, isTaken) = try stage.read()
    #expect(isTaken && errors.count == 1 && errors[0].isContained)
    #expect(policy?.instances.map(\.url.port) == [5001, 5001] && policy?.instances[1].fault != nil)
    let fresh = try Stage()
    try fresh.files.write(text, to: "instances/gamma.json")
    let first = try fresh.read()
    #expect(first.isTaken && first.policy?.instances.map(\.isMisconfigured) == [false, true])
  }

  @Test func `a faulty client takes nothing of its file into force`() throws {
    let stage = try Stage()
    _ = try stage.read()
    try stage.files.write(
      #"{"clients": {"added": {"scopes": [], "instances": [], "tokens": [{"sha256": "\#(Self.sha256("added"))"}]},"#
        + #""gamma": {"scope": []}}}"#, to: "clients/gamma.json")
    let (policy, _, isTaken) = try stage.read()
    #expect(isTaken && policy?.clients.map(\.id.text) == ["acme", "gamma"])
    #expect(try stage.answer("gamma", token: "added", by: policy) == .tokenUnknown)
    #expect(try stage.answer("gamma", by: policy) == nil)
  }

  @Test func `a removed file is no longer in force, except for files whose absence would mean the defaults`() throws {
    let stage = try Stage()
    try stage.files.write(
      #"{"routes": {"/proxy/balances": {"GET": {"scope": "proxy:read", "operation": "balances.list"}}}}"#,
      to: "routes.json")
    _ = try stage.read()
    try stage.remove("clients/gamma.json")
    let (policy, errors, isTaken) = try stage.read()
    #expect(isTaken && errors.isEmpty && policy?.clients.count == 1, "\(errors)")
    for name in ["routes.json", "gateway.json"] {
      let text = try String(contentsOfFile: stage.files.path(name), encoding: .utf8)
      try stage.remove(name)
      let (same, errors, isTaken) = try stage.read()
      #expect(!isTaken && errors.count == 1 && errors[0].file.hasSuffix(name) && same?.routes.routes.count == 1)
      try stage.files.write(text, to: name)
    }
  }

  @Test func `files that contradict each other reject the whole`() throws {
    let stage = try Stage()
    _ = try stage.read()
    try stage.write("gamma", tokens: ["acme"])
    #expect(try !stage.read().isTaken)
    try stage.write("gamma", of: "elsewhere")
    #expect(try !stage.read().isTaken)
    // The broken file's last good client is in another file now.
    try stage.write("gamma")
    try stage.files.write("{", to: "clients/gamma.json")
    try stage.files.write(
      #"{"clients": {"gamma": {"scopes": [], "instances": []}}}"#, to: "clients/moved.json")
    let (policy, errors, isTaken) = try stage.read()
    #expect(!isTaken && errors.contains { $0.message.contains("last good content") })
    #expect(try stage.answer("gamma", by: policy) == nil)
  }

  @Test func `a later reading keeps the bound of each file`() throws {
    let stage = try Stage()
    let folder = PolicyFolder(path: stage.files.path, stateFolder: "/nonexistent", environment: [:])
    let first = FolderReading(folder)
    var policy = FolderPolicy()
    _ = policy.read(first, now: UnixSeconds(1_800_000_000))
    try stage.files.write(String(repeating: "k", count: 5_000), to: "gamma.key")
    let later = FolderReading(folder, rereading: first.inventory)
    #expect(throws: FileFault.tooLong(byteCountMax: 4_098)) {
      try later.content(stage.files.path("gamma.key"), byteCountMax: 1 << 20)
    }
  }

  // MARK: Revocations

  @Test func `revoked tokens and clients are rejected, whatever the other files say`() throws {
    let stage = try Stage()
    _ = try stage.read()
    try stage.files.write("{", to: "routes.json")
    try stage.revoke(tokens: ["acme"])
    var (policy, errors, isTaken) = try stage.read()
    #expect(!isTaken && errors.count == 1)
    #expect(try stage.answer("acme", by: policy) == .tokenRevoked && stage.answer("gamma", by: policy) == nil)
    try stage.revoke(tokens: ["acme"], clients: ["gamma"])
    (policy, _, _) = try stage.read()
    #expect(try stage.answer("gamma", by: policy) == .tokenRevoked)
    try stage.remove("routes.json")
    try stage.revoke(clients: ["gamma"])
    (policy, errors, isTaken) = try stage.read()
    #expect(isTaken && errors.isEmpty, "what is taken out on purpose is not revoked any more")
    #expect(try stage.answer("acme", by: policy) == nil && stage.answer("gamma", by: policy) == .tokenRevoked)
  }

  @Test(arguments: [nil, "", "{", #"{"revoked": {"tokens": ["short"]}}"#])
  func `what was revoked stays so when the file goes or breaks`(text: String?) throws {
    let stage = try Stage()
    try stage.revoke(tokens: ["acme"])
    _ = try stage.read()
    if let text { try stage.files.write(text, to: "revoked.json") } else { try stage.remove("revoked.json") }
    let (policy, errors, isTaken) = try stage.read()
    #expect(isTaken && errors.count == 1 && errors[0].isContained && errors[0].file.hasSuffix("revoked.json"))
    #expect(try stage.answer("acme", by: policy) == .tokenRevoked)
  }
}

private func sha256(_ token: String) -> String { FolderPolicyTests.sha256(token) }
