import Foundation
import Testing

@testable import OAuth

@Suite struct OAuthErrorTests {
  // RFC 6749 §5.2, RFC 7009 §2.2.1, RFC 9110 §15.5.2.
  @Test(arguments: [
    (OAuthError.Code.invalidRequest, "invalid_request", 400), (.invalidClient, "invalid_client", 401),
    (.invalidGrant, "invalid_grant", 400), (.unauthorizedClient, "unauthorized_client", 400),
    (.unsupportedGrantType, "unsupported_grant_type", 400), (.unsupportedTokenType, "unsupported_token_type", 400),
    (.invalidScope, "invalid_scope", 400), (.temporarilyUnavailable, "temporarily_unavailable", 503),
    (.slowDown, "slow_down", 429),
  ])
  func `has the name and the status of the RFC`(code: OAuthError.Code, name: String, status: Int) throws {
    let error = OAuthError(code, "Text.")
    #expect(error.status == status && (error.challenge != nil) == (status == 401))
    let body = try #require(try JSONSerialization.jsonObject(with: Data(error.body.utf8)) as? [String: String])
    #expect(body == ["error": name, "error_description": "Text."])
  }

  @Test func `the challenge is that of RFC 7617`() {
    #expect(OAuthError(.invalidClient, "").challenge == #"Basic realm="blnk", charset="UTF-8""#)
    #expect(OAuthError.Code.allCases.count == 9)
  }

  @Test func `describes faults of forms without their text`() {
    for fault in [FormFault.malformed, .repeated("x\"\\é\u{0}"), .tooManyParameters] {
      let error = OAuthError(fault)
      #expect(error.code == .invalidRequest)
      // RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E.
      #expect(error.description.utf8.allSatisfy { (0x20...0x7e).contains($0) && $0 != 0x22 && $0 != 0x5c })
    }
  }
}
