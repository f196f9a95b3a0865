import Digests
import HTTP1
import Testing

@testable import Policies

/// Who makes a request, and what that alone decides.
@Suite struct PrincipalTests {
  private static let policy = AdmitTests.policy
  private static let read = Request("GET /proxy/balances?instance_id=inst_a", ["Authorization: Bearer reader"])

  private static func principal(_ request: Request) throws -> Principal {
    var trace = AdmissionTrace()
    var caches = TokenCaches()
    return try policy.authenticate(
      request.parsed().head, request.bytes.span, from: Caller(near), at: admissionTime, &caches, noting: &trace
    ).requirePrincipal()
  }

  private static func rejection(of request: Request, as principal: Principal) throws -> Rejection? {
    let parser = try request.parsed()
    var trace = AdmissionTrace()
    do throws(Rejection) {
      _ = try policy.authorize(principal, parser.head, request.bytes.span, noting: &trace)
      return nil
    } catch {
      return error
    }
  }

  @Test func `is the token's client, with that client's scopes and the token's expiry`() throws {
    let principal = try Self.principal(Self.read)
    let policy = Self.policy
    #expect(policy.clients[Int(principal.clientIndex)].id.text == "c-reader")
    #expect(principal.scopes == policy.clients.scopes(of: Int(principal.clientIndex)))
    #expect(principal.expiry == UnixSeconds(rfc3339: "2100-01-01T00:00:00Z"))
    let index = try #require(policy.tokens.index(of: SHA256.digest(of: Array("reader".utf8).span)))
    #expect(principal.source == .file(index))
  }

  @Test func `may do what its own scopes allow, whatever its client's`() throws {
    let star = try Self.principal(Request("GET /", ["Authorization: Bearer star"]))
    let fewer = Principal(expiry: nil, clientIndex: star.clientIndex, source: star.source, scopes: ScopeSet())
    #expect(try Self.rejection(of: Self.read, as: star) == nil)
    #expect(try Self.rejection(of: Self.read, as: fewer) == .scopeInsufficient(.read))
  }

  @Test func `a pending token is unknown where no introspection endpoint is asked`() {
    let token = PendingToken(key: SHA256.digest(of: Array("reader".utf8).span), provider: 0, token: 0..<6)
    #expect(throws: Rejection.tokenUnknown) { try Authentication.pending(token).requirePrincipal() }
  }

  @Test func `an assumed client is decided like one that shows a token`() throws {
    let requests =
      AddressingTests.rejected.map { Request($0.0, $0.1) } + AddressingTests.admitted.map { Request($0.0, $0.1) }
    for request in requests {
      guard let principal = try? Self.principal(request) else { continue }
      var trace = AdmissionTrace()
      let assumed = try Self.policy.assume(principal.clientIndex, noting: &trace)
      #expect(assumed.source == .assumed && assumed.scopes == principal.scopes)
      #expect(trace.clientIndex == principal.clientIndex && trace.tokenIndex == -1)
      #expect(try Self.rejection(of: request, as: assumed) == request.rejection())
    }
    let revoked = try #require(Self.policy.clients.firstIndex { $0.id.text == "c-revoked" })
    var trace = AdmissionTrace()
    #expect(throws: Rejection.tokenRevoked) { try Self.policy.assume(Int32(revoked), noting: &trace) }
  }
}
