import Digests
import HTTP1
import OAuth
import Testing

@testable import Policies

/// What `explain` learns about a signed token: as admission decides.
@Suite struct SignedTokenReportTests {
  private static func fault(
    _ token: String, revoked: Set<TokenID> = [], after seconds: Int64 = 0, by policy: Policy
  ) throws -> SignedTokenReport.Fault? {
    let now = UnixSeconds(grantTime + seconds)
    let report = try #require(policy.report(onSigned: token, revoked: revoked, at: now))
    // Admission agrees.
    let request = Request("GET /proxy/balances?instance_id=inst_a", ["Authorization: Bearer " + token])
    let parser = try request.parsed()
    var caches = TokenCaches()
    var trace = AdmissionTrace()
    caches.signed.revoke(revoked)
    var isRefused = false
    do throws(Rejection) {
      _ = try policy.authenticate(parser.head, request.bytes.span, from: nil, at: now, &caches, noting: &trace)
    } catch {
      isRefused = true
      // An expired one is named in the access log, too.
      if error == .tokenExpired { #expect(trace.tokenID == .sample(1)) }
      if error == .tokenRevoked { #expect(trace.tokenID == .sample(1)) }
    }
    #expect(isRefused == (report.fault != nil))
    return report.fault
  }

  @Test func `has the fault for which admission refuses a token`() throws {
    let folder = OAuthFolder()
    let policy = try folder.policy()
    let token = try policy.signed()
    #expect(try Self.fault(token, by: policy) == nil)
    #expect(try Self.fault(token, after: -10, by: policy) == nil)
    #expect(try Self.fault(token, after: -11, by: policy) == .notYetValid)
    #expect(try Self.fault(token, after: 3_599, by: policy) == nil)
    #expect(try Self.fault(token, after: 3_600, by: policy) == .expired)
    #expect(try Self.fault(try policy.signed(client: "plain"), by: policy) == .clientUnknown)
    #expect(try Self.fault(try policy.signed(.refresh), by: policy) == .wrongKind(.refresh))
    for id in [TokenID.sample(1), .sample(2)] {
      #expect(try Self.fault(token, revoked: [id], by: policy) == .revokedByClient)
      var revoking = folder
      revoking.revoked = #""token_ids": ["\#(id.hex)"]"#
      #expect(try Self.fault(token, by: try revoking.policy()) == .revokedByFile)
    }
    #expect(try Self.fault(token, revoked: [.sample(3)], by: policy) == nil)
    var revoking = folder
    revoking.revoked = #""tokens": ["\#(SHA256.digest(of: Array(token.utf8).span).hex)"]"#
    #expect(try Self.fault(token, by: try revoking.policy()) == .revokedByFile)
    for (time, isTooOld) in [("2027-01-15T08:00:00Z", false), ("2027-01-15T08:00:01Z", true)] {
      var later = folder
      later.clients["acme"]? += #", "tokens_not_before": "\#(time)""#
      #expect(
        try Self.fault(token, by: try later.policy()) == (isTooOld ? .tooOld(UnixSeconds(grantTime + 1)) : nil))
    }
    var other = folder
    other.issuer = "https://other.example"
    #expect(try Self.fault(token, by: try other.policy()) == .foreign)
    #expect(try Self.fault(token.dropLast() + (token.hasSuffix("A") ? "E" : "A"), by: policy) == .forged)
  }

  @Test func `names the scopes that the client no longer has, at least in part`() throws {
    let policy = try OAuthFolder().policy()
    for (client, scope, cut) in [
      ("acme", "proxy:read proxy:write", []), ("acme2", "proxy:read proxy:write", ["proxy:write"]),
      ("acme2", "ledger proxy:read", ["ledger"]), ("acme", "gone proxy:read", ["gone"]), ("none", "*", ["*"]),
    ] {
      let report = policy.report(
        onSigned: try policy.signed(client: client, scope: scope), revoked: [], at: admissionTime)
      #expect(report?.content?.cut == cut, "\(client) \(scope)")
    }
  }
}
