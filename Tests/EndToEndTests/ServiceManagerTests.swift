import Foundation
import TestFolders
import TestSupport
import Testing

/// What the program reports to a service manager, which is the test.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct ServiceManagerTests {
  private func folder(
    core: UInt16 = 1, loops: Int = 1, _ gateway: [String: any Sendable] = ["watch": false]
  ) throws -> TestPolicyFolder {
    try TestPolicyFolder(instances: [("one", "http://127.0.0.1:\(core)")], loops: loops, gateway: gateway)
  }

  /// Whether these are the lines of a gateway that serves, with this in its status.
  private func isServing(_ lines: [String], _ words: String) -> Bool {
    lines.count == 2 && lines[0] == "READY=1" && lines[1].hasPrefix("STATUS=") && lines[1].contains(words)
      && lines[1].utf8.count <= "STATUS=".utf8.count + 1_024
  }

  private func isReload(_ lines: [String]) -> Bool {
    let microseconds = lines.last?.firstMatch(of: /^MONOTONIC_USEC=([0-9]+)$/).flatMap { UInt64($0.1) } ?? 0
    // CLOCK_MONOTONIC, on Linux.
    let now = DispatchTime.now().uptimeNanoseconds / 1_000
    return lines.count == 2 && lines[0] == "RELOADING=1" && (now - 60_000_000...now).contains(microseconds)
  }

  @Test(arguments: [false, true])
  func `reports start, reloads and drain in order, to a path or an abstract name`(isAbstract: Bool) throws {
    try withTemporaryFolder { root in
      let name = isAbstract ? "@blnk-gateway-\(UInt64.random(in: 0 ..< .max))" : root.path("notify")
      let manager = try NotificationSocket(name)
      let folder = try folder(["watch": true, "timeouts": ["drain_s": 2, "drain_delay_s": 0.5, "drain_idle_s": 0]])
      let gateway = try GatewayProcess(folder, environment: ["NOTIFY_SOCKET": name])
      let start = try manager.next()
      #expect(isServing(start, "serving generation 1, policy sha256 "), "\(start)")
      // It serves when it says so.
      _ = try TestSocket(port: gateway.port)

      gateway.signal(SIGHUP)
      var lines = try manager.next()
      #expect(isReload(lines), "\(lines)")
      lines = try manager.next()
      #expect(isServing(lines, "serving generation 2, policy sha256 "), "\(lines)")

      try folder.writeClients(app: ["revoked": true])
      lines = try manager.next()
      #expect(isReload(lines), "\(lines)")
      lines = try manager.next()
      #expect(isServing(lines, "serving generation 3, policy sha256 ") && lines != start, "\(lines)")

      try Data("{".utf8).write(to: URL(filePath: folder.path + "/routes.json"))
      lines = try manager.next()
      #expect(isReload(lines), "\(lines)")
      lines = try manager.next()
      #expect(isServing(lines, "serving generation 3, policy sha256 "), "\(lines)")
      #expect(lines[1].contains("; the last reload was refused: \(folder.path)/routes.json:1: "), "\(lines)")

      // A change that changes nothing is not a reload.
      try Data("{".utf8).write(to: URL(filePath: folder.path + "/routes.json"))
      #expect(manager.isQuiet(milliseconds: 600))

      gateway.signal(SIGTERM)
      lines = try manager.next()
      #expect(lines == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=7500000", "STATUS=draining: for at most 7 s"], "\(lines)")
      #expect(gateway.waitForEnd() == 0)
      #expect(manager.isQuiet(milliseconds: 0))
    }
  }

  @Test func `the status names contained faults, in one bounded line without the value`() throws {
    try withTemporaryFolder { root in
      let manager = try NotificationSocket(root.path("notify"))
      let folder = try folder()
      try FileManager.default.createDirectory(atPath: folder.path + "/clients", withIntermediateDirectories: false)
      let long = String(repeating: "x", count: 3_000)
      for (name, text) in [("a", #"{"clients": {"a\n\#(long)": {"scopes": "hunter2"}}}"#), ("b", "{")] {
        try Data(text.utf8).write(to: URL(filePath: "\(folder.path)/clients/\(name).json"))
      }
      let gateway = try GatewayProcess(folder, environment: ["NOTIFY_SOCKET": manager.address])
      let lines = try manager.next()
      #expect(isServing(lines, "serving generation 1, policy sha256 "), "\(lines)")
      let status = try #require(lines.last)
      #expect(status.contains(" faults, the first: \(folder.path)/clients/a.json:1: ") && status.hasSuffix("…"))
      #expect(!status.contains("hunter2"))
      gateway.stop()
    }
  }

  @Test func `without a manager it serves, and says once that none is there`() throws {
    let gateway = try GatewayProcess(
      try folder(), environment: ["NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "200000"])
    #expect(
      gateway.waitUntilSaid(
        "cannot notify the service manager at $NOTIFY_SOCKET (\"/nowhere/notify\"): No such file or directory; "
          + "unset the variable if none is there\n"))
    gateway.signal(SIGHUP)
    #expect(gateway.waitUntilSaid("generation 2 in force"))
    #expect(gateway.stop() == 0)
    #expect(gateway.errors.ranges(of: "cannot notify").count == 1)
    let invalid = try GatewayProcess(
      try folder(), environment: ["NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "30s"])
    #expect(
      invalid.errors.contains(
        "$WATCHDOG_USEC (\"30s\") must be a number of microseconds; set WatchdogSec= in the unit instead; the watchdog is "
          + "not fed\n"))
    #expect(
      invalid.errors.contains(
        "$NOTIFY_SOCKET (\"vsock:2:1\") must be \"/path\" or \"@name\" of at most 107 bytes; the service manager is not "
          + "notified\n"))
  }

  // MARK: The watchdog

  @Test func `feeds the watchdog at half of its time, also while it drains, until its loops have ended`() throws {
    try withTemporaryFolder { root in
      let manager = try NotificationSocket(root.path("notify"))
      let release = DispatchSemaphore(value: 0)
      let core = try ScriptedUpstream { _ in
        _ = release.wait(timeout: .now() + .seconds(TestSocket.patience))
        return .bytes(ScriptedUpstream.json("{}"))
      }
      let gateway = try GatewayProcess(
        try folder(core: core.port, loops: 2),
        environment: ["NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"],
        // The variable has the ID of the process that becomes the gateway.
        wrapper: ["/bin/sh", "-c", #"WATCHDOG_PID=$$ exec "$@""#, "sh"])
      #expect(try manager.next().first == "READY=1")
      _ = try manager.next()
      let start = Date()
      for _ in 0..<5 { #expect(try manager.next() == ["WATCHDOG=1"]) }
      let seconds = Date().timeIntervalSince(start)
      #expect(seconds > 0.9 && seconds < 10, "five at intervals of 0.2 s took \(seconds) s")

      let client = try TestSocket(port: gateway.port)
      try client.send(testRequest("GET", "/proxy/balances?instance_id=one"))
      #expect(eventually { core.requests.count == 1 })
      gateway.signal(SIGTERM)
      #expect(try manager.nextBesidesWatchdog().first == "STOPPING=1")
      for _ in 0..<3 { #expect(try manager.next() == ["WATCHDOG=1"]) }
      release.signal()
      #expect(gateway.waitForEnd() == 0)
    }
  }

  @Test func `the watchdog of another process is not fed`() throws {
    try withTemporaryFolder { root in
      let manager = try NotificationSocket(root.path("notify"))
      let gateway = try GatewayProcess(
        try folder(),
        environment: ["NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"])
      #expect(try manager.next().first == "READY=1")
      #expect(manager.isQuiet(milliseconds: 500))
      gateway.stop()
    }
  }

  @Test func `while one of two loops hangs, the watchdog is not fed`() throws {
    try withTemporaryFolder { root in
      let manager = try NotificationSocket(root.path("notify"))
      let gateway = try GatewayProcess(
        try folder(loops: 2), environment: ["NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "500000"])
      #expect(try manager.next().first == "READY=1")
      #expect(try manager.next() == ["WATCHDOG=1"])
      let hang = try HangingThread("loop-1", of: gateway.identifier)
      #expect(gateway.waitUntilSaid("watchdog: loop-1 has made no turn for 250 ms"))
      // Those sent before the loop hung.
      while !manager.isQuiet(milliseconds: 0) { #expect(try manager.next() == ["WATCHDOG=1"]) }
      #expect(manager.isQuiet(milliseconds: 1_200))
      // The other loop still serves: it is the loops that are supervised, not the process.
      _ = try TestSocket(port: gateway.port)
      hang.end()
      for _ in 0..<3 { #expect(try manager.next() == ["WATCHDOG=1"]) }
      #expect(gateway.stop() == 0)
    }
  }
}

/// Keeps one thread of a process in a system call, while the others run: strace(1) delays the end of its epoll_wait.
private final class HangingThread {
  private let strace = Process()

  struct NotFound: Error {
    let thread: String
  }

  init(_ name: String, of process: Int32) throws {
    let tasks = "/proc/\(process)/task"
    let thread = try FileManager.default.contentsOfDirectory(atPath: tasks).first { task in
      (try? String(contentsOfFile: "\(tasks)/\(task)/comm", encoding: .utf8)) == "\(name)\n"
    }
    guard let thread else { throw NotFound(thread: name) }
    strace.executableURL = URL(filePath: "/usr/bin/strace")
    strace.arguments = [
      "-p", thread, "-o", "/dev/null", "-e", "inject=epoll_wait,epoll_pwait:delay_exit=60000000",
    ]
    strace.standardInput = FileHandle.nullDevice
    let errors = Pipe()
    strace.standardError = errors
    try strace.run()
    // It writes to standard error when it is attached.
    _ = errors.fileHandleForReading.availableData
  }

  /// The thread continues when its tracer ends. Other signals may be blocked in a child of a Dispatch thread.
  func end() {
    kill(strace.processIdentifier, SIGKILL)
    strace.waitUntilExit()
  }

  deinit { if strace.isRunning { end() } }
}
