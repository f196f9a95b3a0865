import HTTP1
import Testing

@testable import Policies

/// Callers of Core unchanged: the instance in the path, or by default, and the token as Blnk's SDKs send a key.
@Suite struct AddressingTests {
  static let admitted: [(String, [String], String, String)] = [
    ("GET /instances/inst_a/balances/b?x=1", ["Authorization: Bearer reader"], "/balances/b", "inst_a"),
    ("GET /instances/inst_a/balances/b", ["X-Blnk-Key: reader"], "/balances/b", "inst_a"),
    (
      "GET /instances/inst_b/balances/indicator/@World/currency/USD", ["x-blnk-key: star"],
      "/balances/indicator/@World/currency/USD", "inst_b"
    ),
    ("GET /balances/b?include=identity", ["X-Blnk-Key: direct"], "/balances/b", "inst_a"),
    ("POST /identities", ["Authorization: Bearer direct"], "/identities", "inst_a"),
    ("HEAD /balances", ["X-Blnk-Key: direct"], "/balances", "inst_a"),
    ("GET /instances/inst_off/balances", ["X-Blnk-Key: direct"], "/balances", "inst_off"),
    ("GET /balances", ["X-Blnk-Key: direct", "X_Blnk_Key: nobody"], "/balances", "inst_a"),
  ]

  @Test(arguments: admitted)
  func `admits`(line: String, fields: [String], corePath: String, instance: String) throws {
    let request = Request(line, fields)
    let admission = try request.admit()
    #expect(request.text(admission.corePath) == corePath)
    #expect(AdmitTests.policy.instances[Int(admission.instanceIndex)].id.text == instance)
    #expect(admission.instanceParameter == nil)
    #expect(admission.query.map(request.text) == line.split(separator: "?").dropFirst().first.map(String.init))
  }

  static let refused: [(String, [String], Rejection)] = [
    ("GET /balances", [], .tokenRequired), ("GET /instances/inst_a/balances", [], .tokenRequired),
    ("GET /proxy/balances?instance_id=inst_a", ["X-Blnk-Key: reader"], .tokenRequired),
    ("GET /balances", ["X-Blnk-Key: direct", "Authorization: Bearer direct"], .authorizationMalformed),
    ("GET /balances", ["X-Blnk-Key: direct", "X-Blnk-Key: direct"], .authorizationMalformed),
    ("GET /balances", ["X_Blnk_Key: direct"], .tokenRequired),
    ("GET /balances", ["X.Blnk.Key: direct"], .tokenRequired),
    ("GET /balances", ["X-Blnk-Key: two words"], .authorizationMalformed),
    ("GET /balances", ["X-Blnk-Key:"], .authorizationMalformed),
    ("GET /balances", ["X-Blnk-Key: nobody"], .tokenUnknown), ("GET /balances", ["X-Blnk-Key: expired"], .tokenExpired),
    ("GET /balances", ["X-Blnk-Key: reader"], .instanceRequired),
    ("GET /balances?instance_id=inst_a", ["X-Blnk-Key: direct"], .instanceMalformed),
    ("GET /balances?instance%5Fid=inst_a", ["X-Blnk-Key: direct"], .instanceMalformed),
    ("GET /instances/inst_a/balances?instance_id=inst_a", ["X-Blnk-Key: reader"], .instanceMalformed),
    ("GET /instances/inst_a/balances?a&instance_id=", ["X-Blnk-Key: reader"], .instanceMalformed),
    ("GET /instances/inst_b/balances", ["X-Blnk-Key: reader"], .instanceForbidden),
    ("GET /instances/none/balances", ["X-Blnk-Key: reader"], .instanceForbidden),
    ("GET /instances/none/balances", ["X-Blnk-Key: star"], .instanceUnknown),
    ("GET /instances/inst_a", ["X-Blnk-Key: reader"], .routeUnknown),
    ("GET /instances/inst_a/", ["X-Blnk-Key: reader"], .routeUnknown),
    ("GET /instances/", ["X-Blnk-Key: star"], .routeUnknown),
    ("GET /instances//balances", ["X-Blnk-Key: star"], .pathMalformed(.emptySegment)),
    ("GET /instances/inst_a/proxy/balances", ["X-Blnk-Key: star"], .routeUnknown),
    ("GET /balances/", ["X-Blnk-Key: direct"], .routeUnknown), ("GET /proxy", ["X-Blnk-Key: direct"], .routeUnknown),
    ("GET /", ["X-Blnk-Key: direct"], .routeUnknown), ("GET /ledgers", ["X-Blnk-Key: direct"], .routeUnknown),
    ("DELETE /balances/b", ["X-Blnk-Key: direct"], .methodNotAllowed(allow: [MethodSet(.get), MethodSet(.head)])),
    ("POST /instances/inst_a/balances", ["X-Blnk-Key: reader"], .scopeInsufficient(.write)),
    ("POST /instances/inst_off/balances", ["X-Blnk-Key: direct"], .instanceReadOnly),
  ]

  @Test(arguments: refused)
  func `refuses`(line: String, fields: [String], rejection: Rejection) {
    #expect(Request(line, fields).rejection() == rejection)
  }
}
