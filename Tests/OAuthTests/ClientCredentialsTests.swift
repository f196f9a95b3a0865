import Foundation
import Testing

@testable import OAuth

@Suite struct ClientCredentialsTests {
  // RFC 6749 §2.3.1, RFC 7617 §2.1 (with charset UTF-8), and a pair of which both halves need form encoding.
  @Test(arguments: [
    ("Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3", "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"),
    ("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW", "s6BhdRkqt3", "gX1fBat3bV"),
    ("Basic dGVzdDoxMjPCow==", "test", "123£"), ("Basic dGVzdDoxMjPCow", "test", "123£"),
    ("Basic YSUzQWIrYzp4JTJCeSUyNSUzQQ==", "a:b c", "x+y%:"), ("Basic Yzo+Pj4/Pz8=", "c", ">>>???"),
    ("basic czZCaGRSa3F0MzpnWDFmQmF0M2JW", "s6BhdRkqt3", "gX1fBat3bV"),
    ("BASIC   czZCaGRSa3F0MzpnWDFmQmF0M2JW", "s6BhdRkqt3", "gX1fBat3bV"), ("Basic YTpiOmM=", "a", "b:c"),
  ])
  func `reads HTTP Basic, form-decoded`(field: String, client: String, secret: String) throws {
    let credentials = try credentials(field)
    #expect(credentials.client == client && credentials.secret == secret)
    #expect(try self.credentials(field, "client_id=\(encoded(client))&x=1") == credentials)
  }

  @Test(arguments: [
    "", "Basic", "Basic ", "Basic  ", "Basiczc6YTpi", "Basic\tYTpi", "Bearer YTpi", "Digest YTpi", "Basi YTpi",
    "Basicx YTpi",
    "Basic YWI=", "Basic Og==", "Basic OmI=", "Basic YTo=", "Basic YTpi=", "Basic YTpi==", "Basic YTpi====",
    "Basic YTpiYw=",
    "Basic YTpiYw===", "Basic YTpiYx==", "Basic YTpi YTpi", "Basic YTpi,", "Basic YTpi\u{0}", "Basic =", "Basic ====",
    // The alphabet for URLs, a control character, a malformed escape, and other text than UTF-8.
    "Basic Yzo-Pj4_Pz8=", "Basic YToK", "Basic YQo6Yg==", "Basic YTolMA==", "Basic JTA6YQ==", "Basic YTolMDA=",
    "Basic YTr/",
    "Basic /zph",
  ])
  func `refuses other fields as a failed authentication`(field: String) {
    #expect(code(field) == .invalidClient)
    #expect(code(field, "client_id=a") == .invalidClient)
  }

  @Test func `has a bound for the field`() throws {
    func field(_ count: Int) -> String {
      "Basic " + Data(Array("a:".utf8) + [UInt8](repeating: 0x62, count: count)).base64EncodedString()
    }
    #expect(try credentials(field(760)).secret.utf8.count == 760)
    #expect(code(field(762)) == .invalidClient && code(field(100_000)) == .invalidClient)
  }

  @Test func `reads the form`() throws {
    let credentials = try credentials(nil, "client_id=s6BhdRkqt3&client_secret=7Fjfp0ZBr1KtDRbnfVdmIw")
    #expect(credentials.client == "s6BhdRkqt3" && credentials.secret == "7Fjfp0ZBr1KtDRbnfVdmIw")
    #expect(try self.credentials(nil, "client_id=a&client_secret=%2B+b").secret == "+ b")
  }

  @Test(
    arguments: [
      (nil, "", OAuthError.Code.invalidClient), (nil, "client_id=a", .invalidClient),
      (nil, "client_secret=a", .invalidClient),
      (nil, "client_id=&client_secret=b", .invalidClient), (nil, "client_id=a&client_secret=", .invalidClient),
      ("Basic YTpi", "client_secret=b", .invalidRequest),
      ("Basic YTpi", "client_id=a&client_secret=b", .invalidRequest),
      ("Basic YTpi", "client_id=b", .invalidRequest), ("Basic YTpi", "client_id=A", .invalidRequest),
      ("Bearer x", "client_id=a&client_secret=b", .invalidRequest), ("Basic YTpi", "client_id=a", nil),
      ("Basic YTpi", "client_id=", nil),
    ] as [(String?, String, OAuthError.Code?)])
  func `takes one way to authenticate, never two`(field: String?, form: String, expected: OAuthError.Code?) {
    #expect(code(field, form) == expected)
  }

  private func encoded(_ text: String) -> String {
    text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
  }

  private func credentials(_ field: String?, _ body: String = "") throws -> ClientCredentials {
    let form = try form(body)
    guard let field else { return try ClientCredentials(authorization: nil, form: form) }
    return try ClientCredentials(authorization: Array(field.utf8).span, form: form)
  }

  private func code(_ field: String?, _ body: String = "") -> OAuthError.Code? {
    do {
      _ = try credentials(field, body)
      return nil
    } catch {
      return (error as? OAuthError)?.code
    }
  }
}
