import Digests
import HTTP1
import Testing

@testable import Policies

@Suite struct AdmitTests {
  static let policy = admissionPolicy()

  @Test(arguments: [
    ("GET /proxy/balances?instance_id=inst_a", "reader", "/balances", "inst_a", "balances.list"),
    ("HEAD /proxy/balances/b?instance_id=inst_a", "reader", "/balances/b", "inst_a", "balances.get"),
    ("GET /proxy/balances/a%40b?x=1&instance_id=inst_a&y=%zz", "reader", "/balances/a%40b", "inst_a", "balances.get"),
    ("GET /proxy/balances?instance_id=inst%5fa", "reader", "/balances", "inst_a", "balances.list"),
    (
      "PUT /proxy/balances/b/identity?instance_id=inst_a", "writer", "/balances/b/identity", "inst_a",
      "balances.link_identity"
    ),
    ("POST /proxy/balances/filter?instance_id=inst_off", "star", "/balances/filter", "inst_off", "balances.filter"),
    (
      "GET http://gate/proxy/balances?Instance_ID=z&instance_id=inst_a", "reader", "/balances", "inst_a",
      "balances.list"
    ),
    ("POST /proxy/balances?&&instance_id=inst_b&", "star", "/balances", "inst_b", "balances.create"),
  ])
  func `admits`(line: String, token: String, corePath: String, instance: String, operation: String) throws {
    let request = Request(line, ["Authorization: Bearer \(token)"])
    let admission = try request.admit()
    let (policy, route) = (Self.policy, Int(admission.routeIndex))
    #expect(request.text(admission.corePath) == corePath)
    #expect(policy.instances[Int(admission.instanceIndex)].id.text == instance)
    #expect(String(decoding: policy.routes.routes[route].operation, as: UTF8.self) == operation)
    #expect(admission.isWrite == policy.routes.routes[route].isWrite && admission.bodyBytesMax == 5_242_880)
    #expect(policy.clients[Int(admission.clientIndex)].id.text == "c-\(token)")
    guard case .file(let tokenIndex) = admission.principal.source else { throw NotOfAFile() }
    #expect(policy.tokens.note(of: tokenIndex).elementsEqual("note \(token)".utf8))
    #expect(admission.instanceParameter.map(request.text)?.hasPrefix("instance_id=") == true)
    #expect(admission.query.map(request.text)?.contains("instance_id=inst") == true)
  }

  @Test(arguments: [
    ([], Rejection.tokenRequired), (["X-Blnk-Key: nope"], .tokenUnknown), (["X-Blnk-Key:"], .authorizationMalformed),
    (["X-Blnk-Key: reader", "x-blnk-key: reader"], .authorizationMalformed),
    (["X-Blnk-Key: Bearer reader"], .authorizationMalformed),
    (["X-Blnk-Key: reader", "Authorization: Basic cmVhZGVyOng="], .tokenRequired),
    (["X-Blnk-Key: reader", "Authorization: Bearer nope"], .tokenUnknown),
    (["Proxy-Authorization: Bearer reader"], .tokenRequired),
    (["Authorization: Basic cmVhZGVyOng="], .tokenRequired), (["Authorization: Digest username=\"a\""], .tokenRequired),
    (["Authorization: Foo bar"], .tokenRequired), (["Authorization: Bearerreader"], .tokenRequired),
    (["Authorization:"], .authorizationMalformed), (["Authorization: Bearer"], .authorizationMalformed),
    (["Authorization: Bearer "], .authorizationMalformed), (["Authorization: Bearer\treader"], .authorizationMalformed),
    (["Authorization: Bearer:reader"], .authorizationMalformed),
    (["Authorization: Bearer reader x"], .authorizationMalformed),
    (["Authorization: Bearer reader, Bearer reader"], .authorizationMalformed),
    (["Authorization: Bearer \"reader\""], .authorizationMalformed),
    (["Authorization: Bearer token=reader"], .authorizationMalformed),
    (["Authorization: Bearer =reader"], .authorizationMalformed),
    (["Authorization: Bearer ="], .authorizationMalformed),
    (["Authorization: Bearer %72eader"], .authorizationMalformed),
    (["Authorization: Bearer *"], .authorizationMalformed),
    (["Authorization: Bearer reader\u{ff}"], .authorizationMalformed),
    (["Authorization: Bearer ' OR '1'='1"], .authorizationMalformed),
    (["Authorization: Bearer reader", "Authorization: Bearer reader"], .authorizationMalformed),
    (["Authorization: Basic cmVhZGVyOng=", "Authorization: Bearer reader"], .authorizationMalformed),
    (["authorization: Bearer nope", "AUTHORIZATION: Bearer reader"], .authorizationMalformed),
    (["Authorization: Bearer nope"], .tokenUnknown), (["Authorization: Bearer reade"], .tokenUnknown),
    (["Authorization: Bearer readerA"], .tokenUnknown), (["Authorization: Bearer reader="], .tokenUnknown),
    (["Authorization: Bearer READER"], .tokenUnknown),
    (["Authorization: Bearer \(String(repeating: "A", count: 8000))"], .tokenUnknown),
    (["Authorization: Bearer expired"], .tokenExpired), (["Authorization: Bearer revoked"], .tokenRevoked),
  ])
  func `rejects a request without exactly one valid token`(fields: [String], rejection: Rejection) {
    #expect(Request("GET /proxy/balances?instance_id=inst_a", fields).rejection() == rejection)
  }

  @Test(arguments: ["bearer reader", "BEARER reader", "BeArEr   reader", "\t Bearer reader \t"])
  func `takes the scheme in any case and with spaces around`(value: String) throws {
    _ = try Request("GET /proxy/balances?instance_id=inst_a", ["authorization: \(value)"]).admit()
  }

  @Test(arguments: [
    ["X-Blnk-Key: reader"], ["x-blnk-key:reader"], ["X-BLNK-KEY:  reader \t"],
    ["Authorization: Bearer reader", "X-Blnk-Key: writer"],
    ["X-Blnk-Key: writer", "X-Blnk-Key: two words", "Authorization: Bearer reader"],
  ])
  func `under /proxy X-Blnk-Key is the token where there is no Authorization`(fields: [String]) throws {
    let admission = try Request("GET /proxy/balances?instance_id=inst_a", fields).admit()
    #expect(Self.policy.clients[Int(admission.clientIndex)].id.text == "c-reader")
  }

  @Test(arguments: ["access_token=reader", "x=1&access_token", "access%5Ftoken=reader", "&access_token=reader&"])
  func `rejects a second token in the query`(pair: String) {
    let line = "GET /proxy/balances?instance_id=inst_a&\(pair)"
    #expect(Request(line, ["Authorization: Bearer reader"]).rejection() == .authorizationMalformed)
    #expect(Request(line, ["X-Blnk-Key: reader"]).rejection() == .authorizationMalformed)
    #expect(Request(line, []).rejection() == .tokenRequired)
    #expect(Request(line.replacing("token", with: "tokens"), ["Authorization: Bearer reader"]).rejection() == nil)
  }

  @Test(arguments: [
    ("GET /other", Rejection.routeUnknown), ("GET /proxy/balances/?instance_id=inst_a", .routeUnknown),
    ("GET /proxy//balances", .pathMalformed(.emptySegment)), ("GET /proxy/../x", .pathMalformed(.dotSegment)),
    ("GET /proxy/%62alances", .pathMalformed(.escapeForbidden)),
    ("GET /proxy/balances/a%2fb", .pathMalformed(.escapeForbidden)),
    ("GET /proxy/balances/%zz", .pathMalformed(.escapeMalformed)),
    ("GET /proxy/balances;x", .pathMalformed(.byteForbidden)),
    ("DELETE /proxy/balances", .methodNotAllowed(allow: [.init(.get), .init(.head), .init(.post)])),
    ("OPTIONS /proxy/balances/b/identity", .methodNotAllowed(allow: .init(.put))),
    ("PURGE /proxy/balances/b/identity", .methodNotAllowed(allow: .init(.put))),
    ("POST /proxy/balances?instance_id=inst_a", .scopeInsufficient(.write)),
    ("GET /proxy/balances", .instanceRequired), ("GET /proxy/balances?", .instanceRequired),
    ("GET /proxy/balances?x=instance_id", .instanceRequired),
    ("GET /proxy/balances?INSTANCE_ID=inst_a", .instanceRequired),
    ("GET /proxy/balances?instance_id", .instanceMalformed), ("GET /proxy/balances?instance_id=", .instanceMalformed),
    ("GET /proxy/balances?instance_id=inst_a&instance_id=inst_a", .instanceMalformed),
    ("GET /proxy/balances?instance_id=inst_a&instance_id", .instanceMalformed),
    ("GET /proxy/balances?instance%5Fid=inst_a", .instanceMalformed),
    ("GET /proxy/balances?instance_id=inst_a&%69nstance_id=inst_b", .instanceMalformed),
    ("GET /proxy/balances?%69nstance_id=inst_b&instance_id=inst_a", .instanceMalformed),
    ("GET /proxy/balances?instance_id=inst%5", .instanceMalformed),
    ("GET /proxy/balances?instance_id=%zz", .instanceMalformed),
    ("GET /proxy/balances?instance_id=inst_b", .instanceForbidden),
    ("GET /proxy/balances?instance_id=nope", .instanceForbidden),
    ("GET /proxy/balances?instance_id=inst_a%00", .instanceForbidden),
    ("GET /proxy/balances?instance_id=inst%255fa", .instanceForbidden),
    ("GET /proxy/balances?instance_id=inst_a%20", .instanceForbidden),
    ("GET /proxy/balances?instance_id=inst_a+", .instanceForbidden),
    ("GET /proxy/balances?instance_id=%41\(String(repeating: "x", count: 200))", .instanceForbidden),
    ("GET /proxy/balances?instance_id=inst_a;x", .instanceForbidden),
    ("GET /proxy/balances?instance_id=INST_A", .instanceForbidden),
  ])
  func `rejects what a reader may not do`(line: String, rejection: Rejection) {
    #expect(Request(line, ["Authorization: Bearer reader"]).rejection() == rejection)
  }

  @Test(arguments: [
    ("GET /proxy/balances?instance_id=nope", "star", Rejection.instanceUnknown),
    ("POST /proxy/balances?instance_id=inst_off", "star", .instanceReadOnly),
    ("POST /proxy/balances?instance_id=inst_off", "writer", .instanceForbidden),
    ("GET /proxy/balances?instance_id=inst_a", "writer", .scopeInsufficient(.read)),
    ("GET /proxy/balances?instance_id=inst_a", "none", .scopeInsufficient(.read)),
  ])
  func `rejects what others may not do`(line: String, token: String, rejection: Rejection) {
    #expect(Request(line, ["Authorization: Bearer \(token)"]).rejection() == rejection)
  }

  @Test(arguments: [("5242880", nil), ("5242881", Rejection.bodyTooLarge)] as [(String, Rejection?)])
  func `rejects a stated length over the bound`(length: String, rejection: Rejection?) {
    let fields = ["Authorization: Bearer star", "Content-Length: \(length)"]
    #expect(Request("POST /proxy/balances?instance_id=inst_a", fields).rejection() == rejection)
    #expect(Request("POST /proxy/balances?instance_id=inst_off", fields).rejection() == .instanceReadOnly)
  }

  @Test(
    arguments: [
      ("10.1.2.3", nil), ("::ffff:10.1.2.3", nil), ("11.0.0.1", Rejection.networkForbidden), ("2001:db8::1", nil),
      ("::1", .networkForbidden), (nil, .networkForbidden),
    ] as [(String?, Rejection?)])
  func `lets a client in from its networks only`(address: String?, rejection: Rejection?) throws {
    let peer = try address.map { PeerAddress.ip(try #require(IPAddress($0))) } ?? .unix
    let request = Request("GET /proxy/balances?instance_id=inst_a", ["Authorization: Bearer near"])
    #expect(request.rejection(from: peer) == rejection)
  }

  /// Each line repairs what the one before was rejected for; everything behind stays wrong.
  @Test func `rejects for the first reason in order`() {
    let steps: [(line: String, token: String?, peer: PeerAddress, rejection: Rejection?)] = [
      ("POST /proxy/../balances", nil, .unix, .tokenRequired),
      ("POST /proxy/../balances", "near", .unix, .networkForbidden),
      ("POST /proxy/../balances", "near", near, .pathMalformed(.dotSegment)),
      ("POST /proxy/nothing", "near", near, .routeUnknown),
      ("DELETE /proxy/balances", "near", near, .methodNotAllowed(allow: [.init(.get), .init(.head), .init(.post)])),
      ("POST /proxy/balances", "near", near, .scopeInsufficient(.write)),
      ("GET /proxy/balances", "near", near, .instanceRequired),
      ("GET /proxy/balances?instance_id=", "near", near, .instanceMalformed),
      ("GET /proxy/balances?instance_id=inst_b", "near", near, .instanceForbidden),
      ("GET /proxy/balances?instance_id=inst_a", "near", near, nil),
    ]
    for step in steps {
      let fields = step.token.map { ["Authorization: Bearer \($0)"] } ?? []
      #expect(Request(step.line, fields).rejection(from: step.peer) == step.rejection, "\(step.line)")
    }
  }

  @Test(arguments: [
    ("GET /proxy/balances?instance_id=inst_a", "nope", [-1, -1, -1, -1]),
    ("GET /proxy/nothing", "expired", [3, 3, -1, -1]), ("GET /proxy/nothing", "reader", [0, 0, -1, -1]),
    ("POST /proxy/balances", "reader", [0, 0, -1, 1]),
    ("GET /proxy/balances?instance_id=nope", "reader", [0, 0, -1, 0]),
    ("GET /proxy/balances?instance_id=inst_b", "reader", [0, 0, 1, 0]),
    ("POST /proxy/balances?instance_id=inst_off", "star", [2, 2, 2, 1]),
  ])
  func `notes for the record how far it came`(line: String, token: String, wanted: [Int32]) {
    var trace = AdmissionTrace()
    #expect(Request(line, ["Authorization: Bearer \(token)"]).rejection(noting: &trace) != nil)
    let tokens = AdmitTests.policy.tokens
    // Tokens have their own indices; here each client has one token.
    let holder = trace.tokenIndex < 0 ? -1 : tokens.entries[Int(trace.tokenIndex)].clientIndex
    #expect([trace.clientIndex, holder, trace.instanceIndex, trace.routeIndex] == wanted)
  }

  private struct NotOfAFile: Error {}
}
