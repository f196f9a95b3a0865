import Digests
import Foundation
import TestSupport
import Testing

/// Listeners that believe what a front says about its clients, over real sockets.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct FrontTests {
  private static let target = "/proxy/balances?instance_id=one"
  private static let cert = String(repeating: "0a", count: 32)

  private static func core() throws -> ScriptedUpstream {
    try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
  }

  /// A gateway with one listener on loopback.
  private static func gateway(
    _ core: ScriptedUpstream, trusts: String, proxies: [String] = ["127.0.0.1"], networks: [String]? = nil,
    listener: [String: any Sendable] = [:], gateway: [String: any Sendable] = [:], client: [String: any Sendable] = [:]
  ) throws -> RunningGateway {
    let own: [String: any Sendable] = ["address": "127.0.0.1:0", "trusts": trusts]
    let settings: [String: any Sendable] = [
      "listen": own.merging(listener) { $1 }, "trusted_proxies": proxies, "admin": "127.0.0.1:0",
    ]
    let running = try RunningGateway(upstreams: [("one", core.port)], gateway: settings.merging(gateway) { $1 })
    var changes = client
    if let networks { changes["networks"] = networks }
    if !changes.isEmpty { try running.reload(client: changes) }
    return running
  }

  private static func ask(_ socket: TestSocket, _ reader: inout TestMessageReader, fields: [String] = []) throws -> Int?
  {
    try socket.send(testRequest("GET", target, fields: fields))
    return try reader.next()?.status
  }

  /// A v2 header for TCP over IPv4 from 203.0.113.7, with these TLVs.
  private static func v2(command: UInt8 = 0x21, tlvs: [UInt8] = []) -> [UInt8] {
    let addresses: [UInt8] = [203, 0, 113, 7, 127, 0, 0, 1, 0x12, 0x34, 0, 80]
    let count = UInt16(addresses.count + tlvs.count)
    return [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a] + Array("QUIT\n".utf8) + [command, 0x11]
      + [UInt8(count >> 8), UInt8(count & 0xff)] + addresses + tlvs
  }

  private static let v1 = Array("PROXY TCP4 203.0.113.7 127.0.0.1 4660 80\r\n".utf8)

  // MARK: PROXY

  @Test(arguments: [v1, v2()])
  func `a PROXY header names the client to policies, logs and Core, for all requests of its connection`(
    header: [UInt8]
  ) throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "proxy_protocol", networks: ["203.0.113.0/24"])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    try socket.send(header + Array((testRequest("GET", Self.target) + testRequest("GET", Self.target)).utf8))
    #expect(try reader.next()?.status == 200)
    #expect(try reader.next()?.status == 200)
    // From anyone but a trusted front, X-Forwarded-For is dropped.
    #expect(try Self.ask(socket, &reader, fields: ["X-Forwarded-For: 198.51.100.1"]) == 200)
    let requests = core.requests.map(\.message)
    #expect(requests.map { $0.values("X-Forwarded-For") } == Array(repeating: ["203.0.113.7"], count: 3))
    #expect(requests.allSatisfy { $0.values("X-Forwarded-Proto") == ["http"] })
    let records = try gateway.stopAndReadLog()
    #expect(records.count == 3)
    #expect(records.allSatisfy { $0["peer"] as? String == "203.0.113.7" && $0["via"] as? String == "127.0.0.1" })
  }

  @Test(arguments: [v1, v2(tlvs: [0x04, 0, 3, 1, 2, 3])])
  func `a PROXY header may arrive split at every byte`(header: [UInt8]) throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "proxy_protocol")
    for cut in 1..<header.count {
      let socket = try gateway.connect()
      var reader = TestMessageReader(socket)
      try socket.send(Array(header[..<cut]))
      if cut % 7 == 0 { Thread.sleep(forTimeInterval: 0.002) }
      try socket.send(Array(header[cut...]) + Array(testRequest("GET", Self.target).utf8))
      #expect(try reader.next()?.status == 200, "\(cut)")
    }
    #expect(core.requests.allSatisfy { $0.message.values("X-Forwarded-For") == ["203.0.113.7"] })
  }

  @Test func `the client of a PROXY header is held to its networks`() throws {
    let core = try Self.core()
    // The front's own address is allowed: it must not be taken for the client's.
    let gateway = try Self.gateway(core, trusts: "proxy_protocol", networks: ["127.0.0.0/8", "198.51.100.0/24"])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    try socket.send(Self.v1)
    #expect(try Self.ask(socket, &reader) == 403)
    #expect(core.requests.isEmpty)
  }

  @Test func `LOCAL and UNKNOWN mean the front itself`() throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "proxy_protocol", networks: ["127.0.0.1"])
    for header in [Self.v2(command: 0x20), Array("PROXY UNKNOWN 1 2 3\r\n".utf8)] {
      let socket = try gateway.connect()
      var reader = TestMessageReader(socket)
      try socket.send(header)
      #expect(try Self.ask(socket, &reader) == 200)
    }
    let records = try gateway.stopAndReadLog()
    #expect(records.count == 2 && records.allSatisfy { $0["peer"] as? String == "127.0.0.1" && $0["via"] == nil })
  }

  @Test func `the TLV of TLS makes the scheme https`() throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "proxy_protocol")
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    try socket.send(Self.v2(tlvs: [0x20, 0, 5, 0x01, 0, 0, 0, 0]))
    #expect(try Self.ask(socket, &reader) == 200)
    #expect(core.requests.first?.message.values("X-Forwarded-Proto") == ["https"])
  }

  @Test(arguments: [
    Array(testRequest("GET", target).utf8), Array("PROXY TCP4 203.0.113.7 127.0.0.1 04660 80\r\n".utf8),
    v2(command: 0x22), Array("\u{16}\u{3}\u{1}".utf8),
  ])
  func `a connection without a valid PROXY header is closed, counted and reported`(bytes: [UInt8]) throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "proxy_protocol")
    let socket = try gateway.connect()
    try socket.send(bytes)
    // Unread bytes make the kernel send a reset.
    let answer = (try? socket.receiveToEnd()) ?? []
    #expect(answer.isEmpty && core.requests.isEmpty)
    let metrics = try #require(try gateway.askAdmin("/metrics")).bodyText
    #expect(metrics.contains("\nblnk_gateway_proxy_header_faults_total 1\n"))
    #expect(eventually { gateway.reported.contains("closed a connection from 127.0.0.1: ") })
    #expect(try gateway.stopAndReadLog().isEmpty)
  }

  @Test func `a connection that only probes the port is not a fault`() throws {
    let gateway = try Self.gateway(try Self.core(), trusts: "proxy_protocol")
    let socket = try gateway.connect()
    socket.endOutput()
    #expect(try socket.receiveToEnd().isEmpty)
    let metrics = try #require(try gateway.askAdmin("/metrics")).bodyText
    #expect(metrics.contains("\nblnk_gateway_proxy_header_faults_total 0\n"))
  }

  @Test func `a peer that is not in trusted_proxies cannot send a PROXY header`() throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "proxy_protocol", proxies: ["10.0.0.0/8"])
    let socket = try gateway.connect()
    try? socket.send(Self.v1 + Array(testRequest("GET", Self.target).utf8))
    #expect(((try? socket.receiveToEnd()) ?? []).isEmpty && core.requests.isEmpty)
    #expect(eventually { gateway.reported.contains(#"it is not in "trusted_proxies""#) })
  }

  @Test func `a PROXY header must be complete after 3 s, and then that deadline is gone`() throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "proxy_protocol")
    let (late, early) = (try gateway.connect(), try gateway.connect())
    try late.send(Array(Self.v1.dropLast()))
    try early.send(Self.v1)
    let begin = ContinuousClock.now
    #expect(try late.receiveToEnd().isEmpty)
    let waited = ContinuousClock.now - begin
    #expect(waited > .milliseconds(2_500) && waited < .seconds(8), "\(waited)")
    Thread.sleep(forTimeInterval: 0.6)
    var reader = TestMessageReader(early)
    #expect(try Self.ask(early, &reader) == 200)
    #expect(eventually { gateway.reported.contains("no complete PROXY header within 3 s") })
  }

  @Test func `connections are limited for each client of a PROXY header`() throws {
    let core = try Self.core()
    let gateway = try Self.gateway(
      core, trusts: "proxy_protocol",
      gateway: ["limits": ["connections": 1_000, "upstream_connections": 200, "connections_per_address": 2]])
    var sockets: [TestSocket] = []
    func open(_ address: String) throws -> Int? {
      let socket = try gateway.connect()
      sockets.append(socket)
      var reader = TestMessageReader(socket)
      try socket.send("PROXY TCP4 \(address) 127.0.0.1 1 80\r\n")
      return try Self.ask(socket, &reader)
    }
    #expect(try open("203.0.113.7") == 200 && open("203.0.113.7") == 200)
    #expect(try open("203.0.113.7") == 503)
    #expect(try open("203.0.113.8") == 200)
    // A closed connection no longer counts.
    sockets.removeFirst()
    #expect(try eventually { try open("203.0.113.7") == 200 })
  }

  @Test func `the admin endpoint takes no PROXY header`() throws {
    let gateway = try Self.gateway(try Self.core(), trusts: "proxy_protocol")
    let socket = try TestSocket(port: try #require(gateway.adminPort))
    try socket.send(Self.v1 + Array("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 400)
  }

  @Test func `trusted_proxies takes effect at a reload, for connections that are open, too`() throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "forwarded", proxies: ["10.0.0.0/8"])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    let fields = ["X-Forwarded-For: 203.0.113.7"]
    #expect(try Self.ask(socket, &reader, fields: fields) == 200)
    try gateway.reload(settings: ["trusted_proxies": ["127.0.0.1"]])
    #expect(
      try eventually {
        try Self.ask(socket, &reader, fields: fields) == 200
          && core.requests.last?.message["X-Forwarded-For"] == "203.0.113.7"
      })
    #expect(core.requests.first?.message["X-Forwarded-For"] == "127.0.0.1")
  }

  // MARK: X-Forwarded-For

  @Test func `a trusted front's connection has the client of each request`() throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "forwarded", proxies: ["127.0.0.1", "10.0.0.0/8"])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    for fields in [
      ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"],
      ["X-Forwarded-For: 198.51.100.1, 2001:db8::1, 10.1.2.3"], [], ["X-Forwarded-For: unknown"],
    ] {
      #expect(try Self.ask(socket, &reader, fields: fields) == 200)
    }
    try socket.send("GET nonsense HTTP/1.1\r\n\r\n")
    #expect(try reader.next()?.status == 400)
    let requests = core.requests.map(\.message)
    #expect(
      requests.map { $0.values("X-Forwarded-For") } == [["203.0.113.7"], ["2001:db8::1"], ["127.0.0.1"], ["unknown"]])
    #expect(requests.map { $0.values("X-Forwarded-Proto") } == [["https"], ["http"], ["http"], ["http"]])
    let records = try gateway.stopAndReadLog()
    #expect(
      records.map { $0["peer"] as? String } == ["203.0.113.7", "2001:db8::1", "127.0.0.1", "unknown", "127.0.0.1"])
    #expect(
      records.map { $0["via"] as? String } == ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", nil])
  }

  @Test func `networks hold for the client that the front reports, and an unknown one is in none`() throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: "forwarded", networks: ["203.0.113.0/24", "127.0.0.1"])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    for (address, status) in [
      ("203.0.113.7", 200), ("198.51.100.1", 403), ("203.0.113.8", 200), ("unknown", 403),
      ("203.0.113.9, nonsense", 403),
      // A client that claims another address: the front has appended the true one.
      ("203.0.113.7, 198.51.100.1", 403),
    ] {
      #expect(try Self.ask(socket, &reader, fields: ["X-Forwarded-For: \(address)"]) == status, "\(address)")
    }
  }

  @Test(arguments: [("forwarded", ["10.0.0.0/8"]), ("nothing", ["127.0.0.1"])])
  func `from anyone else, X-Forwarded-For and -Proto are dropped`(trusts: String, proxies: [String]) throws {
    let core = try Self.core()
    let gateway = try Self.gateway(core, trusts: trusts, proxies: proxies, networks: ["127.0.0.1"])
    let fields = ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"]
    #expect(try gateway.ask("GET", Self.target, fields: fields)?.status == 200)
    let request = try #require(core.requests.first?.message)
    #expect(request.values("X-Forwarded-For") == ["127.0.0.1"] && request.values("X-Forwarded-Proto") == ["http"])
    let records = try gateway.stopAndReadLog()
    #expect(records[0]["peer"] as? String == "127.0.0.1" && records[0]["via"] == nil)
  }

  // MARK: Certificates

  private static func boundGateway(_ core: ScriptedUpstream, trusts: String = "forwarded") throws -> RunningGateway {
    let header: [String: any Sendable] =
      trusts == "forwarded" ? ["certificate_header": "X-Forwarded-Client-Cert-SHA256"] : [:]
    return try gateway(
      core, trusts: trusts, listener: header,
      client: ["certificates": [String(repeating: "ff", count: 32), cert]])
  }

  @Test func `a client with certificates needs one of them, and Core never sees it`() throws {
    let core = try Self.core()
    let gateway = try Self.boundGateway(core)
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    let name = "X-Forwarded-Client-Cert-SHA256"
    #expect(try Self.ask(socket, &reader, fields: ["\(name): \(Self.cert.uppercased())"]) == 200)
    for fields in [
      [], ["\(name): "], ["\(name): \(Self.cert)00"], ["\(name): \(String(repeating: "0b", count: 32))"],
      ["\(name): \(Self.cert)", "\(name): \(Self.cert)"], ["X-Forwarded-Client-Cert: \(Self.cert)"],
    ] {
      try socket.send(testRequest("GET", Self.target, fields: fields))
      let answer = try #require(try reader.next())
      #expect(answer.status == 401 && answer.bodyText.contains("GATEWAY_CERTIFICATE_MISMATCH"), "\(fields)")
      #expect(answer.values("WWW-Authenticate") == [#"Bearer realm="blnk", error="invalid_token""#])
    }
    #expect(core.requests.count == 1)
    #expect(core.requests.allSatisfy { $0.message.fields.allSatisfy { !$0.name.lowercased().contains("cert") } })
  }

  @Test func `without a listener that names the header, no caller can claim a certificate`() throws {
    let core = try Self.core()
    let gateway = try Self.boundGateway(core, trusts: "nothing")
    let fields = ["X-Forwarded-Client-Cert-SHA256: \(Self.cert)"]
    #expect(try gateway.ask("GET", Self.target, fields: fields)?.status == 401)
    #expect(core.requests.isEmpty)
  }
}
