import Foundation
import LoopSupport
import TestFolders
import TestSupport
import Testing

@testable import Gateway
@testable import Policies

/// The systemd units in `deploy/systemd`, as far as they can be tested where systemd does not run.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct UnitTests {
  private static let top = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    .standardizedFileURL.path
  private static let service = "\(top)/deploy/systemd/blnk-gateway.service"

  private let text: String

  init() throws { text = try String(contentsOfFile: Self.service, encoding: .utf8) }

  /// The values of a key of the service, in order.
  private func values(_ key: String) -> [String] {
    text.split(separator: "\n").filter { $0.hasPrefix("\(key)=") }.map { String($0.dropFirst(key.utf8.count + 1)) }
  }

  private func number(_ key: String) -> Int? { values(key).last.flatMap { Int($0) } }

  /// What systemd-analyze(1) writes.
  private func analyze(_ arguments: String...) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/systemd-analyze")
    process.arguments = arguments
    let pipe = Pipe()
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }

  @Test func `systemd finds no fault in them`() throws {
    try withTemporaryFolder { folder in
      // The program need not be installed.
      try folder.write(text.replacing("/usr/local/bin/blnk-gateway", with: "/bin/true"), to: "blnk-gateway.service")
      let socket = try String(contentsOfFile: "\(Self.top)/deploy/systemd/blnk-gateway.socket", encoding: .utf8)
      // Also with everything that it suggests.
      try folder.write(socket.replacing(/(?m)^#(?=[A-Z]\w+=)/, with: ""), to: "blnk-gateway.socket")
      let result = try analyze("verify", folder.path("blnk-gateway.service"), folder.path("blnk-gateway.socket"))
      #expect(result.status == 0 && result.output.isEmpty, "\(result.output)")
    }
  }

  @Test func `the service is exposed to little`() throws {
    let output = try analyze("security", "--offline=true", "--no-pager", Self.service).output
    let exposure = output.firstMatch(of: /Overall exposure level for blnk-gateway.service: ([0-9.]+)/)
    #expect(try #require(exposure.flatMap { Double($0.1) }) <= 1.5, "\(output)")
  }

  @Test func `its limits suit the defaults of gateway.json`() throws {
    let settings = GatewaySettings()
    let budget = DescriptorBudget(limits: settings.limits, loops: 256)
    #expect(try #require(number("LimitNOFILE")) >= budget.needed)
    let drain = (settings.timeouts.drainMilliseconds + settings.timeouts.drainDelayMilliseconds) / 1_000
    #expect(try #require(number("TimeoutStopSec")) >= drain + 10)
    #expect(values("Type") == ["notify"] && values("ExecReload") == ["/bin/kill -HUP $MAINPID"])
    #expect(values("Restart") == ["on-failure"] && values("ExecStartPre").isEmpty)
    #expect(values("LimitCORE") == ["0"] && values("Environment") == ["SWIFT_BACKTRACE=enable=no"])
  }

  /// `Tests/unit-sandbox` puts the unit's filters for system calls, address families and writable code on the process.
  @Test(.enabled(if: TestAuthority.shared != nil && TLSCore.isAtHand, "openssl or python3 is not installed"))
  func `the gateway starts, calls, audits, reloads, reopens its logs, upgrades and drains, all restricted`() throws {
    let authority = try #require(TestAuthority.shared)
    let core = try TLSCore(authority)
    // Fixed ports, since an upgrade cannot pass on a port of 0.
    let (port, admin) = (try freePort(), try freePort())
    try withTemporaryFolder { root in
      let manager = try NotificationSocket(root.path("notify"))
      let folder = try TestPolicyFolder(
        // A name, so that it is resolved.
        instances: [("one", "https://localhost:\(core.port)")], loops: 2,
        instance: [
          "tls": ["ca_file": "\(authority.folder)/ca.pem", "server_name": "core.test"], "health": ["interval_s": 0.1],
        ],
        gateway: [
          "listen": ["127.0.0.1:\(port)", "unix:\(root.path("http.sock"))"], "admin": "127.0.0.1:\(admin)",
          "watch": true, "audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"],
        ])
      let gateway = try GatewayProcess(
        folder, environment: ["NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000000"],
        wrapper: ["\(Self.top)/Tests/unit-sandbox", Self.service])
      func status(_ method: String) throws -> Int? {
        let socket = try TestSocket(port: port)
        let fields = ["Connection: close"]
        try socket.send(
          testRequest(
            method, "/proxy/balances?instance_id=one", fields: fields, body: method == "GET" ? nil : "{}"))
        var reader = TestMessageReader(socket)
        return try reader.next()?.status
      }
      for method in ["GET", "POST"] { #expect(try status(method) == 200) }
      #expect(try TestMessage.asking(port: admin, "/metrics")?.status == 200)
      gateway.signal(SIGHUP)
      #expect(gateway.waitUntilSaid("generation 2 in force"))
      gateway.signal(SIGUSR1)
      #expect(try status("POST") == 200)
      #expect(try manager.nextBesidesWatchdog().first == "READY=1")
      #expect(try manager.nextBesidesWatchdog().first == "RELOADING=1")
      gateway.signal(SIGUSR2)
      #expect(gateway.waitUntilSaid(" serves\n"))
      let successor = try #require(
        gateway.errors.firstMatch(of: /upgrade: process ([0-9]+) serves/).flatMap { Int32($0.1) })
      // A process left over would keep Foundation's `Process` waiting.
      defer { kill(successor, SIGKILL) }
      for method in ["GET", "POST"] { #expect(try status(method) == 200) }
      kill(successor, SIGTERM)
      #expect(gateway.waitForEnd() == 0)
      #expect(!gateway.errors.contains("not permitted") && !gateway.errors.contains("not supported"))
    }
  }
}
