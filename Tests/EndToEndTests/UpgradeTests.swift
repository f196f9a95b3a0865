import Foundation
import Glibc
import Synchronization
import TestFolders
import TestSupport
import Testing

/// A gateway that is replaced by a new process while clients write.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct UpgradeTests {
  @Test func `upgrades and failed upgrades refuse, reset, cut, lose and repeat no request`() throws {
    try UpgradeRun(clients: 16, upgrades: 3).run()
  }

  @Test
  func `Unix sockets and the admin address are passed on, the manager learns the new process, and the files go last`()
    throws
  {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let (port, admin) = (try freePort(), try freePort())
    try withTemporaryFolder { files in
      let path = files.path("proxy.sock")
      let manager = try NotificationSocket(files.path("notify.sock"))
      let folder = try TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:\(core.port)")],
        gateway: ["listen": ["127.0.0.1:\(port)", "unix:\(path)"], "admin": "127.0.0.1:\(admin)"])
      let gateway = try GatewayProcess(folder, environment: ["NOTIFY_SOCKET": manager.address])
      func identity() -> ino_t? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status.st_ino : nil
      }
      let before = identity()
      kill(gateway.identifier, SIGUSR2)
      #expect(gateway.waitUntilSaid(" serves\n"))
      #expect(eventually { Self.hasEnded(gateway.identifier) })
      let process = try #require(
        gateway.errors.firstMatch(of: /upgrade: process ([0-9]+) serves/).flatMap { Int32($0.1) })
      // A process left over would keep Foundation's `Process` waiting.
      defer { kill(process, SIGKILL) }
      var notifications: [String] = []
      while !notifications.contains("MAINPID=\(process)") { notifications += try manager.nextBesidesWatchdog() }
      #expect(!notifications.contains("STOPPING=1"))
      // The old process has ended: the new one serves all three, and the file is the same.
      #expect(before != nil && identity() == before)
      #expect(try TestMessage.asking(port: admin, "/readyz")?.status == 200)
      let socket = try TestSocket(unixPath: path)
      var reader = TestMessageReader(socket)
      try socket.send(testRequest("GET", "/proxy/balances?instance_id=one"))
      #expect(try reader.next()?.status == 200)
      kill(process, SIGTERM)
      #expect(eventually { kill(process, 0) != 0 })
      #expect(gateway.waitForEnd() == 0)
      #expect(identity() == nil)
    }
  }

  /// Whether this child has ended, also while Foundation's `Process` still waits for the process that it started.
  private static func hasEnded(_ child: Int32) -> Bool {
    var information = unsafe siginfo_t()
    let result = unsafe waitid(P_PID, id_t(child), &information, WEXITED | WNOWAIT | WNOHANG)
    return unsafe result == 0 && information.si_signo == SIGCHLD
  }
}

@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct UpgradeSlowTests {
  @Test func `20 upgrades and 20 failed ones lose nothing, with 64 connections kept and 64 short ones`() throws {
    try UpgradeRun(clients: 64, upgrades: 20).run()
  }
}

/// Writes through one port while the processes behind it change.
private struct UpgradeRun {
  /// Of each kind: with kept connections, and with one connection per request.
  let clients: Int
  let upgrades: Int

  func run() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    // A fixed port, since the next process must find the same address in the settings.
    let port = try freePort()
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], loops: 2,
      gateway: [
        "listen": "127.0.0.1:\(port)", "audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"],
        // The default: time for one last request on an idle connection.
        "timeouts": ["drain_idle_s": 1],
      ])
    let gateway = try GatewayProcess(folder)
    let writers = Writers(port: port)
    for number in 0..<clients {
      writers.start("kept-\(number)", keepsConnections: true)
      writers.start("short-\(number)", keepsConnections: false)
    }
    var process = gateway.identifier
    let settings = folder.path + "/gateway.json"
    let good = try Data(contentsOf: URL(filePath: settings))
    for number in 1...upgrades {
      try Data("{".utf8).write(to: URL(filePath: settings))
      kill(process, SIGUSR2)
      #expect(gateway.waitUntilSaid("upgrade failed: ", times: number))
      try good.write(to: URL(filePath: settings))
      kill(process, SIGUSR2)
      #expect(gateway.waitUntilSaid(" serves\n", times: number), "\(gateway.errors.suffix(2_000))")
      let names = gateway.errors.matches(of: /upgrade: process ([0-9]+) serves\n/).compactMap { Int32($0.1) }
      #expect(names.count == number)
      process = names.last ?? process
      let before = writers.written
      #expect(eventually { writers.written > before + 4 * clients })
    }
    writers.stop()
    kill(process, SIGTERM)
    #expect(eventually { kill(process, 0) != 0 })
    #expect(gateway.waitForEnd() == 0)
    #expect(
      writers.faults.isEmpty, "\(writers.faults.prefix(5)) of \(writers.faults.count)\n\(gateway.errors.suffix(3_000))")
    let executed = core.requests.map(\.message.bodyText)
    #expect(Set(executed).count == executed.count, "a write was executed twice")
    #expect(Set(executed) == writers.bodies)
    let audit = try AuditRecords(folder.statePath)
    #expect(audit.intents.count == executed.count)
    #expect(audit.outcomes.count == executed.count)
    #expect(Set(audit.outcomes.compactMap { $0["outcome"] as? String }) == ["done"])
    #expect(try AuditRecords.findings(folder.statePath).isEmpty)
  }
}

/// Threads that write until they are stopped.
private final class Writers: Sendable {
  private struct State {
    var bodies: Set<String> = []
    var faults: [String] = []
    var isStopping = false
    var running = 0
  }

  private let port: UInt16
  private let state = Mutex(State())

  init(port: UInt16) { self.port = port }

  var written: Int { state.withLock { $0.bodies.count } }
  var bodies: Set<String> { state.withLock { $0.bodies } }
  var faults: [String] { state.withLock { $0.faults } }

  func start(_ name: String, keepsConnections: Bool) {
    state.withLock { $0.running += 1 }
    Thread { [self] in
      var connection: (socket: TestSocket, reader: TestMessageReader)?
      var number = 0
      while !state.withLock({ $0.isStopping }) {
        let body = #"{"reference":"\#(name)-\#(number)"}"#
        number += 1
        do {
          if connection == nil {
            let socket = try TestSocket(port: port)
            connection = (socket, TestMessageReader(socket))
          }
          let fields = keepsConnections ? [] : ["Connection: close"]
          try connection?.socket.send(
            testRequest("POST", "/proxy/balances?instance_id=one", fields: fields, body: body))
          let answer = try connection?.reader.next()
          guard let answer, answer.status == 200 else {
            throw Fault(what: answer.map { "\($0.startLine) \($0.bodyText)" } ?? "no response")
          }
          state.withLock { _ = $0.bodies.insert(body) }
          if !keepsConnections || answer["Connection"] == "close" { connection = nil }
        } catch {
          state.withLock { $0.faults.append("\(body): \(error)") }
          connection = nil
        }
        // A pause, so that connections are also idle.
        Thread.sleep(forTimeInterval: 0.002)
      }
      state.withLock { $0.running -= 1 }
    }.start()
  }

  /// Returns when all have ended.
  func stop() {
    state.withLock { $0.isStopping = true }
    _ = eventually { state.withLock { $0.running == 0 } }
  }

  private struct Fault: Error {
    let what: String
  }
}
