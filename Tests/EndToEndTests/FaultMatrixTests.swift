import Foundation
import TestSupport
import Testing

/// Each fault × each method × pooled or new × with or without body: no write executed twice, no response given to
/// another client, every exchange answered or cut and recorded once, every descriptor closed at the end.
@Suite(.scopedFixtures, .serialized) struct FaultMatrixTests {
  private static let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", writingGet]
  /// A GET on a write route.
  private static let writingGet = "GET*"
  private static let paths = [
    "GET": "/proxy/balances/b", "HEAD": "/proxy/balances/b", "POST": "/proxy/balances", "PUT": "/proxy/identities/i",
    "DELETE": "/proxy/identities/i", writingGet: "/proxy/balances/b/touch",
  ]
  private static let routes: [String: any Sendable] = [
    "/proxy/balances": ["POST": ["scope": "proxy:write", "operation": "balances.create"]],
    "/proxy/balances/:id": ["GET": ["scope": "proxy:read", "operation": "balances.get"]],
    "/proxy/balances/:id/touch": ["GET": ["scope": "proxy:write", "operation": "balances.touch"]],
    "/proxy/identities/:id": [
      "PUT": ["scope": "proxy:write", "operation": "identities.update"],
      "DELETE": ["scope": "proxy:write", "operation": "identities.delete"],
    ],
  ]
  /// Faults of the connection to Core: each has its own instance.
  private static let wayFaults = ["refused", "no answer", "no such name", "not TLS"]

  private struct Case {
    let fault: String
    let method: String
    let isPooled: Bool
    let hasBody: Bool
    let instance: String
    let id: String

    var isWrite: Bool { method != "GET" && method != "HEAD" }
    var verb: String { method == writingGet ? "GET" : method }

    /// The request that leaves a connection in the pool.
    var before: Case {
      Case(fault: "none", method: "GET", isPooled: false, hasBody: false, instance: "core", id: "before-\(id)")
    }
  }

  @Test func `whatever fails, nothing is executed twice and everything is recorded`() throws {
    let core = try FaultyCore()
    let hole = try FullBacklog()
    let plain = try RawUpstream { socket in
      _ = try? socket.receive()
      try? socket.send("HTTP/1.1 400 Bad Request\r\n\r\n")
    }
    let refusing = try RefusingPort()
    let folder = try TestPolicyFolder(
      instances: [
        ("core", "http://127.0.0.1:\(core.port)"), ("refused", "http://127.0.0.1:\(refusing.number)"),
        ("hole", "http://127.0.0.1:\(hole.port)"), ("nameless", "http://no-such-name.invalid:1"),
        ("plain", "https://127.0.0.1:\(plain.port)"),
      ], loops: 1,
      instance: [
        "breaker": ["failures": 0],
        "timeouts": ["connect_s": 0.5, "first_byte_s": 0.5, "between_bytes_s": 0.5, "queue_s": 0.5],
      ], routes: Self.routes)
    let gateway = try GatewayProcess(folder)
    // The first exchanges fill caches and open files.
    for method in Self.methods { _ = try ask(Self.plain(method), gateway) }
    let descriptorsBefore = try settledDescriptors(gateway, core)
    let cases = Self.allCases()
    var requestIDs: [String?] = []
    var befores = 0
    for entry in cases { requestIDs.append(try run(entry, gateway, core, &befores)) }
    #expect(try descriptors(of: gateway, core, become: descriptorsBefore))
    #expect(gateway.stop() == 0)
    let records = try folder.records()
    #expect(records.count == cases.count + befores + Self.methods.count)
    try judge(cases, requestIDs, records, core)
  }

  // MARK: Cases

  private static func allCases() -> [Case] {
    var cases: [Case] = []
    for fault in CoreFault.allCases {
      for isPooled in [false, true] {
        for hasBody in [false, true] {
          for method in methods {
            cases.append(
              Case(
                fault: fault.rawValue, method: method, isPooled: isPooled, hasBody: hasBody, instance: "core",
                id: "c\(cases.count)"))
          }
        }
      }
    }
    for (fault, instance) in zip(wayFaults, ["refused", "hole", "nameless", "plain"]) {
      for hasBody in [false, true] {
        for method in methods {
          cases.append(
            Case(
              fault: fault, method: method, isPooled: false, hasBody: hasBody, instance: instance, id: "c\(cases.count)"
            ))
        }
      }
    }
    return cases
  }

  private static func plain(_ method: String) -> Case {
    Case(fault: "none", method: method, isPooled: false, hasBody: false, instance: "core", id: "warm-\(method)")
  }

  // MARK: Running

  /// Makes one request and judges its response; returns its request id.
  ///
  /// - Parameter befores: counts the requests that leave a connection in the pool.
  private func run(
    _ entry: Case, _ gateway: GatewayProcess, _ core: FaultyCore, _ befores: inout Int
  ) throws -> String? {
    core.endConnections()
    // The gateway drops its pooled connections meanwhile; on a busy machine the next request may still meet one.
    Thread.sleep(forTimeInterval: 0.01)
    var isReady = !entry.isPooled
    while !isReady, befores < 1_000 {
      // On a busy machine it may not be answered in time.
      isReady = try ask(entry.before, gateway)?.status == 200
      befores += 1
    }
    if let fault = CoreFault(rawValue: entry.fault), fault.isBeforeReading { core.leaveUnread(fault) }
    let answer = try ask(entry, gateway)
    let isRight = entry.fault == "none" || entry.fault == "slowBytes"
    if isRight { #expect(answer?.status == 200 && answer?["X-Id"] == entry.id, "\(entry)") }
    if let id = answer?["X-Id"] { #expect(id == entry.id, "another's answer: \(entry)") }
    return answer?["X-Request-Id"]
  }

  /// The response; nil if it was cut.
  private func ask(_ entry: Case, _ gateway: GatewayProcess) throws -> TestMessage? {
    let socket = try TestSocket(port: gateway.port)
    let target = "\(Self.paths[entry.method] ?? "")?instance_id=\(entry.instance)"
    let fields = ["X-Id: \(entry.id)", "X-Fault: \(entry.fault)", "Connection: close"]
    try socket.send(testRequest(entry.verb, target, fields: fields, body: entry.hasBody ? "{}" : nil))
    var reader = TestMessageReader(socket)
    return try reader.next(hasBody: entry.method != "HEAD")
  }

  // MARK: Judging

  /// Each exchange has one record that agrees with its client's response and with what Core received.
  private func judge(
    _ cases: [Case], _ requestIDs: [String?], _ records: [[String: any Sendable]], _ core: FaultyCore
  ) throws {
    let byID = Dictionary(grouping: records) { $0["request_id"] as? String ?? "" }
    #expect(byID.values.allSatisfy { $0.count == 1 })
    var cuts = records.filter { $0["code"] as? String == "GATEWAY_ANSWER_CUT" }[...]
    var cells: [String: [String]] = [:]
    var pooledTries = 0
    for (entry, requestID) in zip(cases, requestIDs) {
      let executed = core.seen.executed[entry.id] ?? 0
      #expect(executed <= (entry.isWrite ? 1 : 2), "\(entry)")
      let record = try #require(requestID.flatMap { byID[$0]?.first } ?? cuts.popFirst(), "\(entry)")
      let outcome = record["outcome"] as? String
      if outcome == "not_sent" { #expect(executed == 0, "\(entry)") }
      if entry.isPooled { pooledTries += record["pooled"] as? Bool == true || record["tries"] as? Int == 2 ? 1 : 0 }
      let status = requestID == nil ? "cut" : "\(record["status"] as? Int ?? 0)"
      cells[entry.fault, default: []].append(status + (outcome == "not_sent" ? "n" : outcome == "unknown" ? "u" : " "))
    }
    #expect(pooledTries == cases.count(where: \.isPooled))
    print("cases that began on a pooled connection: \(pooledTries) of \(cases.count(where: \.isPooled))")
    Self.show(cells)
  }

  /// How many descriptors the gateway holds while it is idle.
  private func settledDescriptors(_ gateway: GatewayProcess, _ core: FaultyCore) throws -> Int {
    core.endConnections()
    var last = -1
    for _ in 0..<100 {
      // Settled means unchanged over this time.
      Thread.sleep(forTimeInterval: 0.05)
      let count = try descriptors(of: gateway)
      if count == last { return count }
      last = count
    }
    return last
  }

  private func descriptors(of gateway: GatewayProcess) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(gateway.identifier)/fd").count
  }

  /// Waits until there are as many as before.
  private func descriptors(of gateway: GatewayProcess, _ core: FaultyCore, become count: Int) throws -> Bool {
    core.endConnections()
    return try eventually { try descriptors(of: gateway) == count }
  }

  private static func show(_ cells: [String: [String]]) {
    print(
      "fault            | fresh, no body: \(methods.joined(separator: " ")) | fresh, body | pooled, no body | pooled, body"
    )
    for fault in CoreFault.allCases.map(\.rawValue) + wayFaults {
      let row = cells[fault] ?? []
      let groups = stride(from: 0, to: row.count, by: methods.count).map { start in
        row[start..<min(start + methods.count, row.count)].joined(separator: " ")
      }
      print(fault.padding(toLength: 16, withPad: " ", startingAt: 0), "|", groups.joined(separator: " | "))
    }
  }
}
