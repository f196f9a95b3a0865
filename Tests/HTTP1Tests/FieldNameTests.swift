import HTTP1
import Testing

private func kind(_ name: String, value: String = "h") throws -> FieldName {
  var parser = RequestHeadParser(limits: HeadLimits())
  let lines = name.lowercased() == "host" ? "\(name):\(value)\r\n" : "\(name):\(value)\r\nHost:h\r\n"
  #expect(try parser.parse(Array("GET / HTTP/1.1\r\n\(lines)\r\n".utf8).span))
  return parser.head.fields[0].kind
}

@Suite struct FieldNameTests {
  @Test(
    arguments: [
      ("Host", .host), ("Connection", .connection), ("Keep-Alive", .keepAlive), ("TE", .te), ("Trailer", .trailer),
      ("Upgrade", .upgrade), ("Authorization", .authorization), ("X-Blnk-Key", .coreKey),
      ("Proxy-Authorization", .proxy),
      ("Proxy-", .proxy), ("Proxy", .proxy), ("Proxy-Connection-Of-Many-Many-Bytes", .proxy),
      ("X-Forwarded-For", .forwarding), ("X-Forwarded-Proto", .forwarding), ("X-Forwarded", .forwarding),
      ("X-Real-IP", .forwarding), ("Forwarded", .forwarding), ("True-Client-IP", .forwarding),
      ("CF-Connecting-IP", .forwarding), ("CF-Pseudo-IPv4", .forwarding), ("X-Client-IP", .forwarding),
      ("Client-IP", .forwarding), ("X-Cluster-Client-IP", .forwarding), ("Fastly-Client-IP", .forwarding),
      ("Fly-Client-IP", .forwarding), ("WL-Proxy-Client-IP", .forwarding), ("X-Azure-ClientIP", .forwarding),
      ("X-Azure-SocketIP", .forwarding), ("X-ProxyUser-IP", .forwarding), ("X-Method-Override", .forwarding),
      ("X-URL-Scheme", .forwarding), ("X-Scheme", .forwarding), ("X-Host", .forwarding),
      ("Front-End-HTTPS", .forwarding), ("HTTP2-Settings", .upgrade), ("Content-Location", .location),
      ("Idempotency-Key", .idempotencyKey),
      ("X-Request-Id", .requestID), ("Traceparent", .traceparent), ("Tracestate", .tracestate), ("Via", .via),
      ("Date", .date), ("Server", .server), ("Location", .location), ("Content-Type", .contentType),
      ("Retry-After", .retryAfter), ("WWW-Authenticate", .wwwAuthenticate),
    ] as [(String, FieldName)])
  func `recognizes a name in any case`(name: String, expected: FieldName) throws {
    // The IP version may follow an address field's name.
    let isFamily = ["Proxy", "X-Forwarded", "CF-Connecting"].contains { name.hasPrefix($0) }
    for spelling in [name, name.lowercased(), name.uppercased()] { #expect(try kind(spelling) == expected) }
    if !isFamily {
      #expect(try kind(name + "-") == .other)
      #expect(try kind(String(name.dropLast())) == .other)
    }
    #expect(try kind("-" + name) == .other)
  }

  @Test(
    arguments: [
      ("Transfer-Encoding", "chunked", .transferEncoding), ("Content-Length", "1", .contentLength),
      ("Expect", "100-continue", .expect), ("X-Rate-Limit-Request-Remote-Addr", "a", .peerEcho),
    ] as [(String, String, FieldName)])
  func `recognizes a name whose value must be valid`(name: String, value: String, expected: FieldName) throws {
    for spelling in [name, name.lowercased(), name.uppercased()] {
      #expect(try kind(spelling, value: value) == expected)
    }
    #expect(try kind(String(name.dropLast(expected == .peerEcho ? 17 : 1)), value: value) == .other)
    #expect(try kind("-" + name, value: value) == .other)
  }

  @Test(arguments: [
    "connection", "keep-alive", "transfer-encoding", "content-length", "content-type", "location", "retry-after",
    "www-authenticate", "authorization", "x-blnk-key", "forwarded", "x-real-ip", "idempotency-key", "x-request-id",
    "traceparent", "tracestate", "x-forwarded", "x-rate-limit-req", "proxy-", "host", "te", "via",
  ])
  func `treats a name with one byte changed as another field`(name: String) throws {
    for place in name.utf8.indices {
      for byte in ["J", "9", "^", "~"] {
        var other = name
        other.replaceSubrange(place...place, with: byte)
        #expect(try kind(other) == .other, "\(other)")
      }
    }
  }

  @Test(arguments: [
    "X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Ssl",
    "X-Original-URL", "X-Original-Forwarded-For", "X-Original-Host", "X-Rewrite-URL", "X-HTTP-Method-Override",
    "X-HTTP-Method", "X-Envoy-External-Address", "X-Envoy-Original-Path", "X-Remote-IP", "X-Remote-Addr",
    "X-Appengine-User-IP", "X-Appengine-Remote-Addr", "Client-Cert", "Client-Cert-Chain", "CF-Connecting-IPv6",
  ])
  func `recognizes the fields that only a proxy may send`(name: String) throws {
    for spelling in [name, name.lowercased(), name.replacing("-", with: "_"), name.replacing("-", with: ".")] {
      #expect(try kind(spelling) == .forwarding, "\(spelling)")
    }
  }

  @Test(arguments: [
    "X-Origin", "X-Originate", "X-Rewritten", "X-HTTP-Mode", "X-Client-Id", "X-Client-IPs", "Client-Id", "X-Method",
    "X-Envoys", "X-Remotely", "X-Schemes", "X-Hosts", "HTTP2-Setting", "CF-Ray", "Client-Center", "X-Azure-Ref",
    "Fastly-Client-IPs", "True-Client-IPs", "X-Cluster-Client", "Content-Locations", "Cookie", "Host-Id", "Priority",
  ])
  func `treats a name that only begins like a proxy's as another field`(name: String) throws {
    #expect(try kind(name) == .other)
  }

  @Test(arguments: [
    "X_Blnk_Key", "x.blnk-KEY", "X_BLNK.KEY", "X-Blnk_Key", "Content_Length", "content.length", "Transfer_Encoding",
    "TRANSFER.ENCODING",
  ])
  func `recognizes a lookalike, which is neither a credential nor a length`(name: String) throws {
    #expect(try kind(name, value: "1, x") == .lookalike)
  }

  @Test(
    arguments: [
      ("HTTP2_Settings", .upgrade), ("x.http_method.override", .forwarding), ("True_Client_IP", .forwarding),
      ("Idempotency_Key", .idempotencyKey),
      ("idempotency.key", .idempotencyKey), ("Proxy_Authorization", .proxy), ("PROXY.authorization", .proxy),
      ("X_Forwarded_For", .forwarding), ("x.forwarded-for", .forwarding), ("X_Real.IP", .forwarding),
      ("X_Request_Id", .requestID),
    ] as [(String, FieldName)])
  func `recognizes credentials, forwarding fields and ids with other separators`(name: String, expected: FieldName)
    throws
  {
    #expect(try kind(name) == expected)
  }

  @Test(arguments: [
    "Keep_Alive", "Content_Type", "XBlnkKey", "X--Blnk-Key", "X~Blnk~Key",
    "X-Blnk-Keys", "X-Blnk-Key-Of-A-Length-Above-24", "T", "O", "X-Forwarde", "Forwardex", "X-Real-IQ",
    "Transfer-Encodinx", "Prox", "Hos\u{74}s",
  ])
  func `treats other spellings as other fields`(name: String) throws {
    #expect(try kind(name) == .other)
  }
}
