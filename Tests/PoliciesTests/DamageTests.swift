import HTTP1
import TestValues
import Testing

@testable import Policies

/// Damaged input is rejected or accepted; it never stops the process.
@Suite struct DamageTests {
  @Test func `survives damaged policy texts`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    let text = Array(
      #"{"clients": {"a": {"scopes": ["*"], "instances": ["*"], "tokens": [{"sha256": "00", "expires": "2027-01-01T00:00:00Z"}], "networks": ["10.0.0.0/8", "::1"], "limits": {"requests_per_second": 1.5e2, "burst": 9}, "name": "\ud83d\ude00\n"}}}"#
        .utf8)
    for _ in 0..<3000 {
      let damaged = damage(text, using: &random)
      let log = FindingLog()
      var file = ClientsFile(
        instances: [], declared: nil, scopes: [.read], directory: ScopeDirectory(scopes: [.read], aliases: []),
        revocations: Revocations(), now: UnixSeconds(0))
      let (root, faults) = JSONReader.read(damaged)
      if let root { file.read(Field(root: root, file: "f", log: log)) }
      #expect(root != nil || !faults.isEmpty, "seed \(seed)")
    }
  }

  @Test func `survives damaged requests`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    let request = Request("GET /proxy/balances/a%40b?x=1&instance_id=inst%5fa", ["Authorization: Bearer reader"]).bytes
    var outcomes: Set<String> = []
    var caches = TokenCaches()
    for _ in 0..<20_000 {
      let bytes = damage(request, using: &random)
      var parser = RequestHeadParser(limits: HeadLimits())
      guard (try? parser.parse(bytes.span)) == true else { continue }
      var trace = AdmissionTrace()
      do throws(Rejection) {
        let decision = try AdmitTests.policy.admit(
          parser.head, bytes.span, from: Caller(near), at: UnixSeconds(0), &caches, noting: &trace)
        guard case .admitted(let admission) = decision else { preconditionFailure("no token is pending") }
        #expect(bytes[admission.corePath].first == UInt8(ascii: "/"), "seed \(seed)")
        outcomes.insert("admitted")
      } catch {
        outcomes.insert(error.code.text)
      }
    }
    #expect(outcomes.count > 6, "seed \(seed): \(outcomes)")
  }
}

private func damage(_ bytes: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
  var bytes = bytes
  for _ in 0...Int.random(in: 0...2, using: &random) {
    let index = Int.random(in: 0..<bytes.count, using: &random)
    switch UInt8.random(in: 0...3, using: &random) {
    case 0: bytes.remove(at: index)
    case 1: bytes.insert(bytes.randomElement(using: &random)!, at: index)
    case 2: bytes[index] = UInt8.random(in: 0...255, using: &random)
    default: bytes.replaceSubrange(index..<bytes.count, with: bytes[index...].prefix(40))
    }
  }
  return bytes
}
