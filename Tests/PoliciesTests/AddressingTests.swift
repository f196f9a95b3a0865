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
    ("GET /balances", ["X-Blnk-Key: direct", "X_Blnk_Key: unknown"], "/balances", "inst_a"),
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

  static let named: [(String, String, String, Addressing.Form)] = [
    ("GET /balances?instance_id=inst_off", "direct", "inst_off", .inQueryOfCorePath),
    ("GET /balances?x=1&instance_id=inst_a&y=2", "reader", "inst_a", .inQueryOfCorePath),
    ("POST /balances/filter?instance_id=inst%5Foff", "direct", "inst_off", .inQueryOfCorePath),
    ("GET /instances/inst_off/balances?instance_id=inst_off", "direct", "inst_off", .inPath),
    ("GET /instances/inst_a/balances?limit=1&instance_id=inst%5fa", "reader", "inst_a", .inPath),
  ]

  @Test(arguments: named)
  func `the query names the instance of a core path too`(
    line: String, token: String, instance: String, form: Addressing.Form
  ) throws {
    let request = Request(line, ["X-Blnk-Key: \(token)"])
    let admission = try request.admit()
    #expect(AdmitTests.policy.instances[Int(admission.instanceIndex)].id.text == instance && admission.form == form)
    #expect(admission.instanceParameter.map(request.text)?.hasPrefix("instance_id=") == true)
  }

  static let rejected: [(String, [String], Rejection)] = [
    ("GET /balances", [], .tokenRequired), ("GET /instances/inst_a/balances", [], .tokenRequired),
    ("GET /balances", ["X-Blnk-Key: direct", "Authorization: Bearer direct"], .authorizationMalformed),
    ("GET /balances", ["X-Blnk-Key: direct", "X-Blnk-Key: direct"], .authorizationMalformed),
    ("GET /balances", ["X_Blnk_Key: direct"], .tokenRequired),
    ("GET /balances", ["X.Blnk.Key: direct"], .tokenRequired),
    ("GET /balances", ["X-Blnk-Key: two words"], .authorizationMalformed),
    ("GET /balances", ["X-Blnk-Key:"], .authorizationMalformed),
    ("GET /balances", ["X-Blnk-Key: unknown"], .tokenUnknown),
    ("GET /balances", ["X-Blnk-Key: expired"], .tokenExpired),
    ("GET /balances", ["X-Blnk-Key: reader"], .instanceRequired),
    ("GET /balances?instance%5Fid=inst_a", ["X-Blnk-Key: direct"], .instanceMalformed),
    ("GET /balances?instance_id=", ["X-Blnk-Key: direct"], .instanceMalformed),
    ("GET /balances?instance_id", ["X-Blnk-Key: reader"], .instanceMalformed),
    ("GET /balances?instance_id=inst_a&instance_id=inst_a", ["X-Blnk-Key: direct"], .instanceMalformed),
    ("GET /balances?instance_id=inst%5", ["X-Blnk-Key: direct"], .instanceMalformed),
    ("GET /balances?instance_id=inst_b", ["X-Blnk-Key: direct"], .instanceForbidden),
    ("GET /balances?instance_id=none", ["X-Blnk-Key: direct"], .instanceForbidden),
    ("GET /balances?instance_id=none", ["X-Blnk-Key: star"], .instanceUnknown),
    ("POST /balances?instance_id=inst_off", ["X-Blnk-Key: direct"], .instanceReadOnly),
    ("GET /instances/inst_a/balances?a&instance_id=", ["X-Blnk-Key: reader"], .instanceMalformed),
    (
      "GET /instances/inst_a/balances?instance_id=inst_a&instance_id=inst_a", ["X-Blnk-Key: reader"], .instanceMalformed
    ),
    ("GET /instances/inst_a/balances?instance_id=inst_%zz", ["X-Blnk-Key: reader"], .instanceMalformed),
    ("GET /instances/inst_a/balances?instance_id=inst_off", ["X-Blnk-Key: direct"], .instanceMalformed),
    // Whether the other one exists makes no difference.
    ("GET /instances/inst_a/balances?instance_id=inst_b", ["X-Blnk-Key: reader"], .instanceMalformed),
    ("GET /instances/inst_a/balances?instance_id=none", ["X-Blnk-Key: reader"], .instanceMalformed),
    ("GET /instances/none/balances?instance_id=inst_b", ["X-Blnk-Key: reader"], .instanceMalformed),
    ("GET /instances/none/balances?instance_id=nowhere", ["X-Blnk-Key: reader"], .instanceMalformed),
    ("GET /instances/none/balances?instance_id=none", ["X-Blnk-Key: reader"], .instanceForbidden),
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

  @Test(arguments: rejected)
  func `rejects`(line: String, fields: [String], rejection: Rejection) {
    #expect(Request(line, fields).rejection() == rejection)
  }
}
