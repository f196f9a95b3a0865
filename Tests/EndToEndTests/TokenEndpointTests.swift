import Foundation
import TestFolders
import TestSupport
import Testing

/// Requests to the token endpoint over real sockets: authentication, errors and HTTP.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct TokenEndpointTests {
  private static let credentialsGrant = [("grant_type", "client_credentials")]

  // MARK: Grants

  @Test(arguments: [
    (nil, "proxy:read proxy:write"), ("proxy:read", "proxy:read"), ("proxy:write proxy:read", "proxy:write proxy:read"),
    ("proxy:read admin:all", "proxy:read"), ("", "proxy:read proxy:write"),
  ])
  func `client_credentials gives the scopes that request and client share, in a token that Core's route accepts`(
    asked: String?, granted: String
  ) throws {
    let stage = try TokenStage()
    let answer = try stage.post(Self.credentialsGrant + (asked.map { [("scope", $0)] } ?? []))
    #expect(answer.status == 200, "\(answer.bodyText)")
    let members = try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: any Sendable])
    #expect(Set(members.keys) == ["access_token", "token_type", "expires_in", "scope"])
    #expect(members["token_type"] as? String == "Bearer" && members["expires_in"] as? Int == 3_600)
    #expect(members["scope"] as? String == granted)
    #expect(answer.values("Cache-Control") == ["no-store"] && answer.values("Pragma") == ["no-cache"])
    #expect(answer.values("Content-Type") == ["application/json"])
    let token = try #require(answer.member("access_token"))
    #expect(try stage.use(token).status == 200)
    let write = try stage.use(token, "POST")
    #expect(granted.contains("write") ? write.status == 200 : write == (403, "GATEWAY_SCOPE_INSUFFICIENT"))
  }

  @Test func `a client authenticates with form-encoded Basic or in the form`() throws {
    let stage = try TokenStage()
    #expect(try stage.post(Self.credentialsGrant).status == 200)
    let inForm = Self.credentialsGrant + [("client_id", "app"), ("client_secret", TokenStage.secret)]
    #expect(try stage.post(inForm, fields: []).status == 200)
    // RFC 6749 §4.1.3: the same client_id besides Basic is harmless.
    #expect(try stage.post(Self.credentialsGrant + [("client_id", "app")]).status == 200)
    // The scheme's case does not matter (RFC 7235 §2.1).
    let lower = TokenStage.basic().replacing("Basic", with: "bAsIc")
    #expect(try stage.post(Self.credentialsGrant, fields: [lower]).status == 200)
    // Not encoded, the secret is another one: "+" would mean a space.
    let raw = "Authorization: Basic " + Data("app:\(TokenStage.secret)".utf8).base64EncodedString()
    #expect(try stage.post(Self.credentialsGrant, fields: [raw]).refusal == "401 invalid_client")
  }

  // MARK: Errors

  /// A request, what it must be refused with, and its path.
  struct Refused: Sendable, CustomTestStringConvertible {
    let what: String
    let form: String
    let refusal: String
    var path = "/oauth/token"
    var fields = [TokenStage.basic()]
    var type: String? = TokenStage.formType

    var testDescription: String { what }
  }

  private static let formCredentials = TokenStage.form([("client_id", "app"), ("client_secret", TokenStage.secret)])

  private static let refusals = [
    Refused(what: "no grant_type", form: "scope=proxy%3Aread", refusal: "400 invalid_request"),
    Refused(what: "an empty grant_type", form: "grant_type=", refusal: "400 invalid_request"),
    Refused(what: "an empty body", form: "", refusal: "400 invalid_request"),
    Refused(what: "another grant", form: "grant_type=password", refusal: "400 unsupported_grant_type"),
    Refused(
      what: "a scope that the client lacks", form: "grant_type=client_credentials&scope=admin",
      refusal: "400 invalid_scope"),
    Refused(
      what: "two spaces in scope", form: "grant_type=client_credentials&scope=proxy%3Aread++proxy%3Awrite",
      refusal: "400 invalid_scope"),
    Refused(
      what: "grant_type twice", form: "grant_type=client_credentials&grant_type=client_credentials",
      refusal: "400 invalid_request"),
    Refused(
      what: "an empty scope and another one", form: "grant_type=client_credentials&scope=&scope=proxy%3Aread",
      refusal: "400 invalid_request"),
    Refused(
      what: "an unknown parameter twice", form: "grant_type=client_credentials&x=1&x=1",
      refusal: "400 invalid_request"),
    Refused(what: "a broken escape", form: "grant_type=client_credentials&x=%4", refusal: "400 invalid_request"),
    Refused(what: "a control character", form: "grant_type=client_credentials&x=%0a", refusal: "400 invalid_request"),
    Refused(what: "not UTF-8", form: "grant_type=client_credentials&x=%ff", refusal: "400 invalid_request"),
    Refused(
      what: "33 parameters",
      form: "grant_type=client_credentials" + (1...32).map { "&p\($0)=1" }.joined(), refusal: "400 invalid_request"),
    Refused(
      what: "a code grant without code", form: "grant_type=authorization_code&redirect_uri=x",
      refusal: "400 invalid_request"),
    Refused(
      what: "a code grant without redirect_uri", form: "grant_type=authorization_code&code=x",
      refusal: "400 invalid_request"),
    Refused(
      what: "a short code_verifier", form: "grant_type=authorization_code&code=x&redirect_uri=x&code_verifier=short",
      refusal: "400 invalid_request"),
    Refused(
      what: "a made-up code", form: "grant_type=authorization_code&code=x&redirect_uri=x",
      refusal: "400 invalid_grant"),
    Refused(what: "no refresh_token", form: "grant_type=refresh_token", refusal: "400 invalid_request"),
    Refused(
      what: "a made-up refresh token", form: "grant_type=refresh_token&refresh_token=x",
      refusal: "400 invalid_grant"),
    Refused(
      what: "Basic and client_secret", form: "grant_type=client_credentials&" + formCredentials,
      refusal: "400 invalid_request"),
    Refused(
      what: "Basic and another client_id", form: "grant_type=client_credentials&client_id=other",
      refusal: "400 invalid_request"),
    Refused(
      what: "two Authorization fields", form: "grant_type=client_credentials", refusal: "400 invalid_request",
      fields: [TokenStage.basic(), TokenStage.basic()]),
    Refused(what: "no credentials", form: "grant_type=client_credentials", refusal: "401 invalid_client", fields: []),
    Refused(
      what: "no client_secret", form: "grant_type=client_credentials&client_id=app", refusal: "401 invalid_client",
      fields: []),
    Refused(
      what: "credentials in the URL", form: "grant_type=client_credentials", refusal: "401 invalid_client",
      path: "/oauth/token?" + formCredentials, fields: []),
    Refused(
      what: "malformed base64", form: "grant_type=client_credentials", refusal: "401 invalid_client",
      fields: ["Authorization: Basic YXBwOg=x"]),
    Refused(
      what: "Basic without a colon", form: "grant_type=client_credentials", refusal: "401 invalid_client",
      fields: ["Authorization: Basic YXBw"]),
    Refused(
      what: "another scheme", form: "grant_type=client_credentials", refusal: "401 invalid_client",
      fields: ["Authorization: Bearer \(TestPolicyFolder.token)"]),
    Refused(
      what: "no Content-Type", form: "grant_type=client_credentials", refusal: "400 invalid_request", type: nil),
    Refused(
      what: "JSON", form: "grant_type=client_credentials", refusal: "400 invalid_request",
      type: "Content-Type: application/json"),
    Refused(
      what: "a longer type", form: "grant_type=client_credentials", refusal: "400 invalid_request",
      type: TokenStage.formType + "x"),
    Refused(
      what: "two types", form: "grant_type=client_credentials", refusal: "400 invalid_request",
      fields: [TokenStage.basic(), TokenStage.formType]),
    Refused(what: "nothing to revoke", form: "token=", refusal: "400 invalid_request", path: "/oauth/revoke"),
    Refused(
      what: "a revocation without a folder", form: "token=x", refusal: "400 unsupported_token_type",
      path: "/oauth/revoke"),
    Refused(
      what: "a revocation without credentials", form: "token=x", refusal: "401 invalid_client", path: "/oauth/revoke",
      fields: []),
  ]

  @Test func `each refusal has its status and error, is not cached, and keeps the connection open`() throws {
    let stage = try TokenStage()
    let socket = try TestSocket(port: stage.gateway.port)
    var reader = TestMessageReader(socket)
    for (number, refused) in Self.refusals.enumerated() {
      try socket.send(
        TokenStage.request(
          refused.path, refused.form, fields: refused.fields, type: refused.type, from: "198.51.100.\(number)"))
      let answer = try #require(try reader.next(), "\(refused.what)")
      #expect(answer.refusal == refused.refusal, "\(refused.what): \(answer.bodyText)")
      let members = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: String]
      #expect(Set(members?.keys ?? [:].keys) == ["error", "error_description"], "\(refused.what)")
      #expect(answer.values("Cache-Control") == ["no-store"], "\(refused.what)")
      #expect(answer.values("Content-Type") == ["application/json"])
      let challenges = answer.status == 401 ? [#"Basic realm="blnk", charset="UTF-8""#] : []
      #expect(answer.values("WWW-Authenticate") == challenges, "\(refused.what)")
      #expect(answer.values("X-Request-Id").first?.count == 32)
    }
    try socket.send(TokenStage.request("/oauth/token", TokenStage.form(Self.credentialsGrant)))
    #expect(try reader.next()?.status == 200)
    #expect(stage.core.requests.isEmpty)
  }

  @Test func `whether a client exists, has expired or is revoked does not show`() throws {
    let stage = try TokenStage()
    let attempts = [
      TokenStage.basic("missing"), TokenStage.basic("app", "wrong"), TokenStage.basic("expired"),
      TokenStage.basic("revoked"), TokenStage.basic("elsewhere"), TokenStage.basic("files-only"),
      // A token of policy files is not a secret.
      TokenStage.basic("files-only", TestPolicyFolder.readToken),
    ]
    var answers: Set<String> = []
    for (number, attempt) in attempts.enumerated() {
      let answer = try stage.post(Self.credentialsGrant, fields: [attempt], from: "198.51.100.\(number)")
      #expect(answer.refusal == "401 invalid_client", "\(number)")
      let fields = answer.fields.filter { !["X-Request-Id", "Date"].contains($0.name) }
      answers.insert(answer.startLine + fields.map { "\($0.name): \($0.value)" }.joined() + answer.bodyText)
    }
    #expect(answers.count == 1, "\(answers)")
    let inside = try stage.post(Self.credentialsGrant, fields: [TokenStage.basic("elsewhere")], from: "203.0.113.9")
    #expect(inside.status == 200)
  }

  @Test func `a client that authenticates at the endpoint cannot use its secret as a token`() throws {
    let stage = try TokenStage()
    #expect(try stage.use(TokenStage.otherSecret) == (401, "GATEWAY_TOKEN_INVALID"))
  }

  // MARK: HTTP

  @Test func `other methods get 405 with Allow`() throws {
    let stage = try TokenStage()
    let socket = try TestSocket(port: stage.gateway.port)
    var reader = TestMessageReader(socket)
    let documents = [
      "/oauth/authorize", "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource",
    ]
    let forms = ["/oauth/token", "/oauth/revoke"]
    for (paths, methods, allow) in [
      (forms, ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"], "POST"), (documents, ["POST", "PUT"], "GET, HEAD"),
    ] {
      for path in paths {
        for method in methods {
          try socket.send(testRequest(method, path, body: method == "PUT" ? "a=b" : nil, token: nil))
          let answer = try #require(try reader.next(hasBody: method != "HEAD"))
          #expect(answer.status == 405 && answer.values("Allow") == [allow], "\(method) \(path)")
        }
      }
    }
    for path in documents {
      try socket.send(testRequest("HEAD", path, token: nil))
      #expect(try reader.next(hasBody: false)?.status == 200)
    }
    #expect(reader.rest.isEmpty)
    // A path that only begins like one of them needs a token, like any other.
    for path in ["/oauth/token/", "/oauth/tokens", "/oauth", "/OAuth/token"] {
      try socket.send(testRequest("GET", path, token: nil))
      #expect(try reader.next()?.status == 401, "\(path)")
    }
  }

  @Test func `without oauth in gateway.json there are no such paths`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    for path in ["/oauth/token", "/.well-known/oauth-authorization-server"] {
      #expect(try gateway.ask("POST", path, body: "grant_type=client_credentials")?.member("error") != nil)
      #expect(try gateway.ask("GET", path)?.status == 404)
    }
    #expect(core.requests.isEmpty)
  }

  /// A form of that many bytes.
  private static func form(of count: Int) -> String {
    let start = "grant_type=client_credentials&x="
    return start + String(repeating: "a", count: count - start.utf8.count)
  }

  private static func chunked(_ form: String, pieces: Int, fields: [String] = []) -> String {
    let head = testRequest(
      "POST", "/oauth/token",
      fields: [TokenStage.basic(), TokenStage.formType, "Transfer-Encoding: chunked"] + fields, token: nil)
    let (bytes, size) = (Array(form.utf8), max(1, form.utf8.count / pieces))
    let chunks = stride(from: 0, to: bytes.count, by: size).map { start in
      let piece = bytes[start..<min(start + size, bytes.count)]
      return String(piece.count, radix: 16) + "\r\n" + String(decoding: piece, as: UTF8.self) + "\r\n"
    }
    return head + chunks.joined() + "0\r\n\r\n"
  }

  @Test func `a body has at most 8 KiB, chunked or not`() throws {
    let stage = try TokenStage()
    #expect(try stage.ask(TokenStage.request("/oauth/token", Self.form(of: 8_192))).status == 200)
    #expect(try stage.ask(Self.chunked(Self.form(of: 8_192), pieces: 5)).status == 200)
    for request in [
      TokenStage.request("/oauth/token", Self.form(of: 8_193)), Self.chunked(Self.form(of: 8_193), pieces: 5),
      TokenStage.request("/oauth/token", Self.form(of: 100_000)), Self.chunked(Self.form(of: 100_000), pieces: 7),
    ] {
      let answer = try stage.ask(request)
      #expect(answer.refusal == "413 invalid_request" && answer.values("Cache-Control") == ["no-store"])
    }
    #expect(try stage.token().isEmpty == false)
  }

  @Test func `a request may arrive in two parts, split at any byte, and in single bytes`() throws {
    let stage = try TokenStage()
    let form = TokenStage.form(Self.credentialsGrant)
    let socket = try TestSocket(port: stage.gateway.port)
    var reader = TestMessageReader(socket)
    for request in [TokenStage.request("/oauth/token", form), Self.chunked(form, pieces: 3)] {
      let bytes = Array(request.utf8)
      for split in 1..<bytes.count {
        try socket.send(Array(bytes[..<split]))
        // The gateway has to see the first part alone at least sometimes.
        if split % 8 == 0 { Thread.sleep(forTimeInterval: 0.002) }
        try socket.send(Array(bytes[split...]))
        #expect(try reader.next()?.status == 200, "\(split)")
      }
      for byte in bytes { try socket.send([byte]) }
      #expect(try reader.next()?.status == 200)
    }
    #expect(reader.rest.isEmpty)
  }

  @Test func `pipelined requests are answered in order`() throws {
    let stage = try TokenStage()
    let socket = try TestSocket(port: stage.gateway.port)
    var reader = TestMessageReader(socket)
    let token = try stage.token()
    try socket.send(
      TokenStage.request("/oauth/token", "grant_type=password")
        + testRequest("GET", "/proxy/balances?instance_id=one", token: token)
        + Self.chunked(TokenStage.form(Self.credentialsGrant), pieces: 2)
        + testRequest("GET", "/.well-known/oauth-authorization-server", token: nil)
        + TokenStage.request("/oauth/token", TokenStage.form(Self.credentialsGrant)))
    #expect(try (0..<5).map { _ in try reader.next()?.status } == [400, 200, 200, 200, 200])
  }

  @Test func `a slow body is ended by a timeout`() throws {
    let stage = try TokenStage(settings: ["timeouts": ["body_idle_s": 0.3]])
    let socket = try TestSocket(port: stage.gateway.port)
    var reader = TestMessageReader(socket)
    let request = TokenStage.request("/oauth/token", TokenStage.form(Self.credentialsGrant))
    try socket.send(Array(request.utf8.dropLast()))
    let answer = try #require(try reader.next())
    #expect(answer.refusal == "408 invalid_request" && answer["Connection"] == "close", "\(answer.bodyText)")
    #expect(try reader.next() == nil)
  }

  @Test func `a client that expects 100-continue gets it before it sends the form`() throws {
    let stage = try TokenStage()
    let form = TokenStage.form(Self.credentialsGrant)
    let request = TokenStage.request("/oauth/token", form, fields: [TokenStage.basic(), "Expect: 100-continue"])
    let socket = try TestSocket(port: stage.gateway.port)
    var reader = TestMessageReader(socket)
    try socket.send(Array(request.utf8.dropLast(form.utf8.count)))
    #expect(try reader.next()?.status == 100)
    try socket.send(form)
    #expect(try reader.next()?.status == 200)
    // A form that is too large is not asked for.
    let large = TokenStage.request(
      "/oauth/token", Self.form(of: 9_000), fields: [TokenStage.basic(), "Expect: 100-continue"])
    try socket.send(Array(large.utf8.dropLast(9_000)))
    #expect(try reader.next()?.status == 413)
  }

  @Test func `HTTP/1.0 works, with and without keep-alive`() throws {
    let stage = try TokenStage()
    func request(_ fields: [String]) -> String {
      TokenStage.request("/oauth/token", TokenStage.form(Self.credentialsGrant), fields: [TokenStage.basic()] + fields)
        .replacing(" HTTP/1.1", with: " HTTP/1.0")
    }
    let socket = try TestSocket(port: stage.gateway.port)
    var reader = TestMessageReader(socket)
    try socket.send(request(["Connection: keep-alive"]))
    #expect(try reader.next()?.status == 200)
    try socket.send(request([]))
    #expect(try reader.next()?.status == 200)
    #expect(try reader.next() == nil)
  }

  @Test func `a client that leaves inside its form harms no other`() throws {
    let stage = try TokenStage()
    let request = Array(TokenStage.request("/oauth/token", TokenStage.form(Self.credentialsGrant)).utf8)
    for count in [request.count - 1, request.count - 20, request.count] {
      let socket = try TestSocket(port: stage.gateway.port)
      try socket.send(Array(request[..<count]))
      socket.resetOnClose()
    }
    #expect(try stage.post(Self.credentialsGrant).status == 200)
  }

  // MARK: Documents

  @Test func `the documents of RFC 8414 and RFC 9728 are JSON with the issuer's URLs`() throws {
    try withTemporaryFolder { revocations in
      for folder in [revocations.path, nil] {
        let stage = try TokenStage(revocations: folder, oauth: ["audience": "https://ledger.example"])
        func document(_ name: String) throws -> [String: any Sendable] {
          let answer = try stage.ask(testRequest("GET", "/.well-known/\(name)", token: nil))
          #expect(answer.status == 200 && answer.values("Content-Type") == ["application/json"])
          return try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: any Sendable])
        }
        let server = try document("oauth-authorization-server")
        let issuer = TokenStage.issuer
        #expect(server["issuer"] as? String == issuer)
        #expect(server["token_endpoint"] as? String == issuer + "/oauth/token")
        #expect(server["authorization_endpoint"] as? String == issuer + "/oauth/authorize")
        #expect(server["revocation_endpoint"] as? String == (folder == nil ? nil : issuer + "/oauth/revoke"))
        #expect(server["code_challenge_methods_supported"] as? [String] == ["S256"])
        #expect(server["response_types_supported"] as? [String] == ["code"])
        #expect(
          server["grant_types_supported"] as? [String] == ["client_credentials", "authorization_code", "refresh_token"])
        let methods = ["client_secret_basic", "client_secret_post"]
        #expect(server["token_endpoint_auth_methods_supported"] as? [String] == methods)
        #expect(Set(server["scopes_supported"] as? [String] ?? []) == ["proxy:read", "proxy:write"])
        let resource = try document("oauth-protected-resource")
        #expect(resource["resource"] as? String == issuer)
        #expect(resource["authorization_servers"] as? [String] == [issuer])
        let page = try stage.ask(testRequest("GET", "/oauth/authorize?response_type=code", token: nil))
        #expect(page.status == 200 && page.bodyText.contains("blnk-gateway oauth code"))
      }
    }
  }

  @Test func `the documents of an issuer with a path are found before that path`() throws {
    let issuer = "https://gateway.example/eu/ledger"
    let stage = try TokenStage(oauth: ["issuer": issuer])
    for (name, key) in [("oauth-authorization-server", "issuer"), ("oauth-protected-resource", "resource")] {
      for path in ["/.well-known/\(name)/eu/ledger", "/.well-known/\(name)"] {
        #expect(try stage.ask(testRequest("GET", path, token: nil)).member(key) == issuer, "\(path)")
      }
      for path in ["/.well-known/\(name)/eu", "/.well-known/\(name)/eu/ledger/", "/oauth/token/eu/ledger"] {
        #expect(try stage.ask(testRequest("GET", path, token: nil)).status == 401, "\(path)")
      }
    }
    let challenge = try stage.ask(testRequest("GET", "/proxy/balances?instance_id=one", token: nil))["WWW-Authenticate"]
    let metadata = "https://gateway.example/.well-known/oauth-protected-resource/eu/ledger"
    #expect(challenge == #"Bearer realm="blnk", resource_metadata="\#(metadata)""#)
  }
}
