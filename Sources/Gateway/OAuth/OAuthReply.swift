import Bytes
import HTTP1
import OAuth
import Policies
import Telemetry

/// A response of the token endpoint and of the documents around it.
struct OAuthReply: Sendable {
  let status: Int
  var contentType: StaticString = "application/json"
  let body: String
  var challenge: String?
  var allow: StaticString?
  var retryAfterSeconds: Int?
  /// Whether caches may keep it: never with tokens (RFC 6749 §5.1).
  var isPublic = false

  init(_ grant: TokenGrant) {
    status = 200
    body = grant.body
  }

  init(_ error: OAuthError) {
    status = error.status
    body = error.body
    challenge = error.challenge
    retryAfterSeconds = error.retryAfterSeconds
  }

  /// A reply that any request may get, such as 413, in the form that OAuth clients read.
  init(_ reply: LocalReply) {
    let code: OAuthError.Code = reply.code.status < 500 ? .invalidRequest : .temporarilyUnavailable
    status = reply.code.status
    body = OAuthError(code, reply.message).body
    retryAfterSeconds = reply.retryAfterSeconds
  }

  /// RFC 7009 §2.2: the body is ignored.
  static let revoked = OAuthReply(status: 200, body: "{}")

  init(
    status: Int, contentType: StaticString = "application/json", body: String, allow: StaticString? = nil,
    isPublic: Bool = false
  ) {
    self.status = status
    self.contentType = contentType
    self.body = body
    self.allow = allow
    self.isPublic = isPublic
  }

  func write(
    to output: ByteBuffer, id: RequestID, dateLine: [UInt8], keepsAlive: Bool, version: Version, hasBody: Bool
  ) {
    output.append(statusLine: status)
    output.append(field: "Content-Type", contentType)
    if isPublic {
      output.append(field: "Cache-Control", "public, max-age=300")
    } else {
      // RFC 6749 §5.1 asks for both.
      output.append(field: "Cache-Control", "no-store")
      output.append(field: "Pragma", "no-cache")
    }
    output.append(dateLine)
    if let challenge { output.append(field: "WWW-Authenticate", text: challenge) }
    if let allow { output.append(field: "Allow", allow) }
    if let retryAfterSeconds { output.append(field: "Retry-After", decimal: retryAfterSeconds) }
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.append(contentLength: body.utf8.count)
    output.appendRequestIDLine(id)
    output.appendHeadEnd()
    if hasBody { output.append(text: body) }
  }
}

// MARK: Documents

extension OAuthReply {
  /// RFC 8414 §3.2.
  static func serverMetadata(_ settings: OAuthSettings, scopes: [String]) -> OAuthReply {
    let issuer = settings.issuer
    let revocation =
      settings.revocationsFolder == nil
      ? ""
      : #""revocation_endpoint":"\#(issuer)/oauth/revoke","#
        + #""revocation_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],"#
    return OAuthReply(
      status: 200,
      body: #"{"issuer":"\#(issuer)","authorization_endpoint":"\#(issuer)/oauth/authorize","#
        + #""token_endpoint":"\#(issuer)/oauth/token","# + revocation
        + #""token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],"#
        + #""grant_types_supported":["client_credentials","authorization_code","refresh_token"],"#
        + #""response_types_supported":["code"],"code_challenge_methods_supported":["S256"],"#
        + #""authorization_response_iss_parameter_supported":true,"scopes_supported":\#(list(scopes))}"#,
      isPublic: true)
  }

  /// RFC 9728 §3.2.
  static func resourceMetadata(_ settings: OAuthSettings, scopes: [String]) -> OAuthReply {
    OAuthReply(
      status: 200,
      body: #"{"resource":"\#(settings.issuer)","authorization_servers":["\#(settings.issuer)"],"#
        + #""bearer_methods_supported":["header"],"scopes_supported":\#(list(scopes))}"#,
      isPublic: true)
  }

  /// There is no login page: an operator makes the code.
  static let authorize = OAuthReply(
    status: 200, contentType: "text/plain; charset=utf-8",
    body: """
      This gateway has no login page. Send the address of this page to its operator, who runs

        blnk-gateway oauth code --client CLIENT --authorize-url 'THE ADDRESS OF THIS PAGE'

      and sends you the address to open next. It is valid for 60 seconds.

      """)

  /// Scopes need no escaping in JSON (RFC 6749 §3.3).
  private static func list(_ scopes: [String]) -> String {
    "[" + scopes.map { "\"\($0)\"" }.joined(separator: ",") + "]"
  }
}
