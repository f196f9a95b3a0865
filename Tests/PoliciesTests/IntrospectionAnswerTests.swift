import Bytes
import Testing

@testable import Policies

/// An answer is hostile input: everything that is not exactly RFC 7662 §2.2 is a fault, and a fault is never a decision.
@Suite struct IntrospectionAnswerTests {
  private static let now = UnixSeconds(1_800_000_000)

  private static func read(_ text: String) throws(IntrospectionFault) -> IntrospectionAnswer? {
    try IntrospectionAnswer.read(Array(text.utf8))
  }

  private static func provider(audience: String? = nil, issuer: String? = nil) -> IntrospectionProvider {
    var provider = IntrospectionProvider(
      name: "corp", url: "https://a.example/introspect", clientID: "gw", clientSecret: Secret(Array("s".utf8)),
      caBundle: nil)
    provider.audience = audience.map { ByteText($0) }
    provider.issuer = issuer.map { ByteText($0) }
    return provider
  }

  private static func refusal(of text: String, audience: String? = nil, issuer: String? = nil) throws -> AnswerRefusal?
  {
    let answer = try #require(try read(text))
    do throws(AnswerRefusal) {
      try answer.check(provider(audience: audience, issuer: issuer), at: now)
      return nil
    } catch {
      return error
    }
  }

  @Test func `reads what matters of an active token`() throws {
    let answer = try #require(
      try Self.read(
        #"""
        {"active":true,"client_id":"app","sub":"alice","iss":"https://a.example","aud":["gw","other"],"scope":"a  b",
        "exp":1800000060.9,"nbf":1799999999.1,"iat":1.8e9,"token_type":"Bearer","username":"x","ext":{"deep":[1,null]},
        "client_name":null}
        """#))
    #expect(answer.clientID == "app" && answer.subject == "alice" && answer.issuer == "https://a.example")
    #expect(answer.audiences == ["gw", "other"] && answer.scopes == ["a", "b"] && answer.uses == ["Bearer"])
    #expect(answer.expiry == 1_800_000_060 && answer.notBefore == 1_800_000_000 && answer.issuedAt == 1_800_000_000)
  }

  @Test(arguments: [
    #"{"active":false}"#, #"{"active":false,"exp":1}"#, #" { "active" : false } "#,
  ])
  func `an answer that says false is not a fault`(text: String) throws {
    #expect(try Self.read(text) == nil)
  }

  @Test(arguments: [
    "", "{}", "null", "true", "[]", #""active""#, #"{"active":"true"}"#, #"{"active":1}"#, #"{"active":null}"#,
    #"{"Active":true}"#, #"{"active":true,"active":false}"#, #"{"active":false,"active":true}"#,
    #"{"active":true,"sub":"a","sub":"b"}"#, #"{"active":true,"x":{"a":1,"a":2}}"#, #"{"active":true,}"#,
    #"{"active":true} x"#, #"{"active":true}{"active":true}"#, #"{"active":true"#, "\u{feff}{\"active\":true}",
    #"{"active":true,"client_id":7}"#, #"{"active":true,"sub":["a"]}"#, #"{"active":true,"iss":{}}"#,
    #"{"active":true,"scope":["a","b"]}"#, #"{"active":true,"aud":7}"#, #"{"active":true,"aud":["a",7]}"#,
    #"{"active":true,"exp":"1800000060"}"#, #"{"active":true,"exp":1e400}"#, #"{"active":true,"nbf":true}"#,
    #"{"active":true,"iat":"now"}"#, #"{"active":true,"token_type":1}"#, #"{"active":false,"exp":"never"}"#,
    "<html>active</html>", #"{"active":true,"sub":"\#(String(repeating: "a", count: 8_200))"}"#,
    #"{"active":true,"pad":"\#(String(repeating: "a", count: 70_000))"}"#,
    String(repeating: #"{"a":"#, count: 40) + "1" + String(repeating: "}", count: 40),
  ])
  func `anything else is a fault`(text: String) {
    #expect(throws: IntrospectionFault.self) { try Self.read(text) }
  }

  @Test(arguments: [
    (#""token_use":"refresh_token""#, AnswerRefusal.wrongKind), (#""token_use":"id""#, .wrongKind),
    (#""typ":"Refresh""#, .wrongKind), (#""typ":"ID""#, .wrongKind), (#""typ":"Offline""#, .wrongKind),
    (#""token_type":"refresh_token""#, .wrongKind), (#""token_type":"DPoP""#, .wrongKind),
    (#""token_type":"Bearer","token_use":"refresh_token""#, .wrongKind), (#""typ":"""#, .wrongKind),
    (#""cnf":{"x5t#S256":"abc"}"#, .boundToKey), (#""exp":1800000000"#, .expired), (#""exp":0"#, .expired),
    (#""exp":-9223372036854775808"#, .expired), (#""nbf":1800000006"#, .notYetValid),
  ])
  func `refuses an active token that is not a valid access token`(members: String, refusal: AnswerRefusal) throws {
    #expect(try Self.refusal(of: "{\"active\":true,\(members)}") == refusal)
  }

  @Test(arguments: [
    #""token_use":"access_token","token_type":"Bearer""#, #""typ":"Bearer""#, #""typ":"at+jwt""#,
    #""token_type":"access_token""#, #""token_type":"bearer""#, #""exp":1800000001"#, #""nbf":1800000005"#,
    #""exp":9223372036854775807"#, #""exp":null,"cnf":null"#,
  ])
  func `accepts an access token`(members: String) throws {
    #expect(try Self.refusal(of: "{\"active\":true,\(members)}") == nil)
  }

  @Test(arguments: [
    (#""aud":"gw""#, nil), (#""aud":["other","gw"]"#, nil), (#""aud":"other""#, AnswerRefusal.wrongAudience),
    (#""aud":["gwx","GW"]"#, .wrongAudience), (#""aud":[]"#, .wrongAudience), (#""sub":"gw""#, .wrongAudience),
    (#""aud":null"#, .wrongAudience),
  ])
  func `aud must contain the configured audience`(members: String, refusal: AnswerRefusal?) throws {
    #expect(try Self.refusal(of: "{\"active\":true,\(members)}", audience: "gw") == refusal)
    #expect(try Self.refusal(of: "{\"active\":true,\(members)}") == nil)
  }

  @Test(arguments: [
    (#""iss":"https://a.example""#, nil), (#""iss":"https://a.example/""#, AnswerRefusal.wrongIssuer),
    (#""iss":"https://evil.example""#, .wrongIssuer), (#""sub":"x""#, .wrongIssuer),
  ])
  func `iss must be the configured issuer`(members: String, refusal: AnswerRefusal?) throws {
    #expect(try Self.refusal(of: "{\"active\":true,\(members)}", issuer: "https://a.example") == refusal)
  }
}
