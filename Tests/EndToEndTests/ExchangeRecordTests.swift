import Foundation
import Synchronization
import TestSupport
import Testing

/// Every exchange is recorded exactly once in the access log, the audit log and the metrics.
///
/// Each request has a unique path, so its records are found without anything the gateway replied. 32 clients run at once
/// against two loops.
@Suite(.scopedFixtures, .serialized) struct ExchangeRecordTests {
  private static let routes: [String: any Sendable] = [
    "/proxy/balances/:id": ["GET": ["scope": "proxy:read", "operation": "balances.get"]],
    "/proxy/balances/:id/touch": ["GET": ["scope": "proxy:write", "operation": "balances.touch"]],
    "/proxy/identities/:id": [
      "PUT": ["scope": "proxy:write", "operation": "identities.update"],
      "DELETE": ["scope": "proxy:write", "operation": "identities.delete"],
      "POST": ["scope": "proxy:write", "operation": "identities.touch"],
    ],
  ]

  /// Client behavior.
  private enum Client: Sendable {
    /// Sends the whole request and reads the response.
    case patient
    /// Disconnects in the middle of the body.
    case leavesBody
    /// Disconnects right after the whole request.
    case leavesResponse
    /// Sends the last byte separately, and an extra CRLF after the response.
    case dawdles
  }

  private struct Exchange: Sendable {
    var fault = CoreFault.none
    var method = "GET"
    var instance = "core"
    var path = ""
    var body: Int?
    var token: String? = TestPolicyFolder.token
    var client = Client.patient

    var isWrite: Bool { method != "HEAD" && (method != "GET" || path.hasSuffix("/touch")) }

    /// With a path that is unique by `number`.
    func numbered(_ number: Int) -> Exchange {
      var numbered = self
      switch method {
      case "GET", "HEAD": numbered.path = "/proxy/balances/x\(number)" + path
      default: numbered.path = "/proxy/identities/x\(number)" + path
      }
      return numbered
    }

    func with(_ change: (inout Exchange) -> Void) -> Exchange {
      var changed = self
      change(&changed)
      return changed
    }

    var id: String { path }

    var request: [UInt8] {
      var fields = ["X-Id: \(id)", "X-Fault: \(fault.rawValue)"]
      if let body { fields.append("Content-Length: \(body)") }
      let head = testRequest(method, "\(path)?instance_id=\(instance)", fields: fields, token: token)
      return Array(head.utf8) + [UInt8](repeating: 0x20, count: body ?? 0)
    }
  }

  /// Methods and path suffixes; the last is a GET on a write route.
  private static let methods = [
    ("GET", ""), ("HEAD", ""), ("POST", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/touch"),
  ]

  /// None, one read whole before the audit intent, and one streamed. A debug build hashes 1 MB/s.
  private static let bodies = [nil, 2, 70_000]
  private static let faultsOfLargeBodies: [CoreFault] = [
    .none, .closeUnread, .closeUnanswered, .resetInBody, .stallUnanswered, .tooMuch,
  ]

  private static func exchanges() -> [Exchange] {
    var all: [Exchange] = []
    for (method, path) in methods {
      let plain = Exchange(method: method, path: path)
      for body in bodies {
        for fault in body == bodies.last ? faultsOfLargeBodies : CoreFault.allCases {
          all.append(plain.with { ($0.fault, $0.body) = (fault, body) })
        }
        for instance in ["refused", "hole", "nameless", "plain", "unknown"] {
          all.append(plain.with { ($0.instance, $0.body) = (instance, body) })
        }
        for token in [nil, "unknown", TestPolicyFolder.readToken] {
          all.append(plain.with { ($0.token, $0.body) = (token, body) })
        }
      }
      for body in [nil, 2] {
        all.append(plain.with { ($0.client, $0.body) = (.dawdles, body) })
        for fault in [CoreFault.none, .slowBytes, .stallInBody, .closeUnanswered] {
          all.append(plain.with { ($0.client, $0.fault, $0.body) = (.leavesResponse, fault, body) })
        }
      }
      for body in [1_000, 140_000] {
        all.append(plain.with { ($0.client, $0.body) = (.leavesBody, body) })
      }
      // Over `limits.body_bytes`.
      all.append(plain.with { $0.body = 6_000_000 })
    }
    all.append(contentsOf: ["PATCH", "OPTIONS"].map { Exchange(method: $0) })
    return all.enumerated().map { $1.numbered($0) }
  }

  @Test func `each exchange has exactly one record`() throws {
    let core = try FaultyCore()
    let hole = try FullBacklog()
    let refusing = try RefusingPort()
    let plain = try RawUpstream { socket in
      _ = try? socket.receive()
      try? socket.send("HTTP/1.1 400 Bad Request\r\n\r\n")
    }
    let folder = try TestPolicyFolder(
      instances: [
        ("core", "http://127.0.0.1:\(core.port)"), ("refused", "http://127.0.0.1:\(refusing.number)"),
        ("hole", "http://127.0.0.1:\(hole.port)"), ("nameless", "http://no-such-name.invalid:1"),
        ("plain", "https://127.0.0.1:\(plain.port)"),
      ], loops: 2,
      instance: [
        "breaker": ["failures": 0],
        "timeouts": ["connect_s": 0.3, "first_byte_s": 0.3, "between_bytes_s": 0.3, "queue_s": 0.3],
      ],
      gateway: ["admin": "127.0.0.1:0", "audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"]],
      routes: Self.routes)
    let gateway = try GatewayProcess(folder)
    let adminPort = try #require(gateway.adminPort)
    let exchanges = Self.exchanges()
    Self.run(exchanges, port: gateway.port, core)
    let isCounted = try eventually {
      let samples = try TestMessage.asking(port: adminPort, "/metrics")?.samples ?? [:]
      let total = samples.filter { $0.key.hasPrefix("blnk_gateway_requests_total{") }.values.reduce(0, +)
      return Int(total) >= exchanges.count
    }
    #expect(isCounted)
    let samples = try #require(try TestMessage.asking(port: adminPort, "/metrics")).samples
    #expect(gateway.stop() == 0)
    let total = samples.filter { $0.key.hasPrefix("blnk_gateway_requests_total{") }.values.reduce(0, +)
    #expect(Int(total) == exchanges.count)
    try Self.judge(exchanges, try folder.records(), core)
    try Self.judge(exchanges, try AuditRecords(folder.statePath), core)
    #expect(try AuditRecords.findings(folder.statePath) == [])
  }

  // MARK: Running

  private static let clientsMax = 32

  private static func run(_ exchanges: [Exchange], port: UInt16, _ core: FaultyCore) {
    let next = Place()
    let clients = DispatchGroup()
    for _ in 0..<clientsMax {
      clients.enter()
      Thread {
        defer { clients.leave() }
        while true {
          let index = next.take()
          guard index < exchanges.count else { return }
          // Any client's request may be hit.
          if exchanges[index].fault.isBeforeReading { core.leaveUnread(exchanges[index].fault) }
          try? make(exchanges[index], port)
        }
      }.start()
    }
    clients.wait()
  }

  private final class Place: Sendable {
    private let next = Atomic<Int>(0)

    func take() -> Int { next.add(1, ordering: .relaxed).oldValue }
  }

  private static func make(_ exchange: Exchange, _ port: UInt16) throws {
    let socket = try TestSocket(port: port)
    let request = exchange.request
    switch exchange.client {
    case .patient:
      // A failed send does not hide the response.
      try? socket.send(request)
      var reader = TestMessageReader(socket)
      _ = try reader.next(hasBody: exchange.method != "HEAD")
    case .leavesBody:
      try socket.send(Array(request.dropLast((exchange.body ?? 0) / 2)))
    case .leavesResponse:
      try socket.send(request)
    case .dawdles:
      try socket.send(Array(request.prefix(request.count - 1)))
      try socket.send(Array(request.suffix(1)))
      var reader = TestMessageReader(socket)
      _ = try reader.next(hasBody: exchange.method != "HEAD")
      // Not a request (RFC 9112 §2.2).
      try socket.send("\r\n")
    }
  }

  // MARK: Judging

  private static func judge(
    _ exchanges: [Exchange], _ records: [[String: any Sendable]], _ core: FaultyCore
  ) throws {
    let byPath = Dictionary(grouping: records) { $0["path"] as? String ?? "" }
    for exchange in exchanges {
      let own = byPath[exchange.path] ?? []
      #expect(own.count == 1, "\(exchange): \(own)")
      guard let record = own.first else { continue }
      #expect(record["method"] as? String == exchange.method)
      let executed = core.seen.executed[exchange.id] ?? 0
      #expect(executed <= (exchange.isWrite ? 1 : 2), "\(exchange): \(record)")
      if record["outcome"] as? String == "not_sent" { #expect(executed == 0, "\(exchange): \(record)") }
    }
    #expect(records.count == exchanges.count)
    #expect(Set(records.compactMap { $0["request_id"] as? String }).count == exchanges.count)
  }

  /// A write has one intent and one outcome, or neither. A read has none.
  private static func judge(_ exchanges: [Exchange], _ audit: AuditRecords, _ core: FaultyCore) throws {
    // Throws on a duplicate and on an intent without an outcome.
    let words = try audit.words()
    #expect(words.count == audit.outcomes.count)
    let intents = Dictionary(grouping: audit.intents) { $0["path"] as? String ?? "" }
    for exchange in exchanges {
      let count = intents[exchange.path]?.count ?? 0
      #expect(count <= (exchange.isWrite ? 1 : 0), "\(exchange)")
      if exchange.isWrite, core.seen.executed[exchange.id] != nil { #expect(count == 1, "\(exchange)") }
    }
    print("\(exchanges.count) exchanges, \(audit.intents.count) intents")
  }
}
