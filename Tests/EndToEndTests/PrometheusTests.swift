import Foundation
import TestFolders
import TestSupport
import Testing

/// The gateway's metrics, read by Prometheus' own programs (Debian's package `prometheus`).
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct PrometheusTests {
  private struct NotStarted: Error {
    let output: String
  }

  /// A gateway with a Core that answers and one that does not, after a few requests of every kind.
  private func withTraffic(_ body: (GatewayProcess, _ adminPort: UInt16) throws -> Void) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)"), ("down", "http://127.0.0.1:1")],
      gateway: ["admin": "127.0.0.1:0"])
    let gateway = try GatewayProcess(folder)
    let adminPort = try #require(gateway.adminPort)
    for (target, token, status) in [
      ("/proxy/balances?instance_id=one", TestPolicyFolder.token, 200),
      ("/proxy/balances?instance_id=down", TestPolicyFolder.token, 502),
      ("/proxy/balances?instance_id=one", "unknown", 401), ("/proxy/x\\\"y", TestPolicyFolder.token, 400),
    ] {
      for _ in 0..<5 { #expect(try ask(gateway.port, target, token) == status) }
    }
    try body(gateway, adminPort)
    #expect(gateway.stop() == 0)
  }

  private func ask(_ port: UInt16, _ target: String, _ token: String) throws -> Int? {
    let socket = try TestSocket(port: port)
    try socket.send(testRequest("GET", target, fields: ["Connection: close"], token: token))
    var reader = TestMessageReader(socket)
    return try reader.next()?.status
  }

  private func start(_ program: String, _ arguments: [String], input: FileHandle = .nullDevice) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.standardInput = input
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  @Test func `promtool accepts the metrics`() throws {
    try withTraffic { _, adminPort in
      let answer = try #require(try TestMessage.asking(port: adminPort, "/metrics"))
      let (input, output) = (Pipe(), Pipe())
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = ["promtool", "check", "metrics"]
      process.standardInput = input
      process.standardOutput = output
      process.standardError = output
      try process.run()
      try input.fileHandleForWriting.write(contentsOf: Data(answer.body))
      try input.fileHandleForWriting.close()
      let said = try output.fileHandleForReading.readToEnd() ?? Data()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0 && said.isEmpty, "\(String(decoding: said, as: UTF8.self))")
    }
  }

  @Test func `Prometheus scrapes the metrics and answers queries with the right counts`() throws {
    try withTraffic { _, adminPort in
      try withTemporaryFolder { folder in
        let text = """
          global: { scrape_interval: 1s }
          scrape_configs: [ { job_name: gateway, static_configs: [ { targets: ["127.0.0.1:\(adminPort)"] } ] } ]
          """
        try folder.write(text, to: "prometheus.yml")
        let (prometheus, port) = try startPrometheus(folder.path)
        defer {
          prometheus.terminate()
          prometheus.waitUntilExit()
        }
        let query = "sum(blnk_gateway_requests_total{instance_id=\"one\",status=\"2xx\",route=\"/proxy/balances\"})"
        #expect(try value(of: query, at: port) == "5")
        #expect(try value(of: "up{job=\"gateway\"}", at: port) == "1")
        #expect(try value(of: "blnk_gateway_refusals_total{code=\"GATEWAY_UPSTREAM_REFUSED\"}", at: port) == "5")
      }
    }
  }

  /// Tries again if another process has taken the free port.
  private func startPrometheus(_ folder: String) throws -> (Process, UInt16) {
    for _ in 0..<5 {
      let listener = try ListeningSocket(backlog: 1)
      let port = listener.port
      listener.stop()
      let process = try start(
        "prometheus",
        [
          "--config.file=\(folder)/prometheus.yml", "--storage.tsdb.path=\(folder)/data",
          "--web.listen-address=127.0.0.1:\(port)",
        ])
      var isReady = false
      _ = eventually(every: 0.05) {
        isReady = (try? TestMessage.asking(port: port, "/-/ready"))?.status == 200
        return isReady || !process.isRunning
      }
      if isReady { return (process, port) }
      if process.isRunning { process.terminate() }
      process.waitUntilExit()
    }
    throw NotStarted(output: "prometheus is not ready")
  }

  /// The single value of a query, once there is one.
  private func value(of query: String, at port: UInt16) throws -> String? {
    let escaped = query.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    var value: String?
    _ = try eventually(every: 0.1) {
      let answer = try TestMessage.asking(port: port, "/api/v1/query?query=\(escaped)")
      value = (answer?.bodyText.firstMatch(of: /"value":\[[0-9.]+,"([^"]*)"\]/)?.1).map { String($0) }
      return value != nil
    }
    return value
  }
}
