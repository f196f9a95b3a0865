import Foundation
import Glibc
import Synchronization
import TestFolders
import TestSupport
import Testing

/// Upgrades of a gateway with a journal of idempotency keys.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct KeyedUpgradeTests {
  @Test func `the new process knows all keys, and gets the outcomes of those in flight in the old one`() throws {
    let stage = try UpgradeStage()
    defer { stage.end() }
    let first = try stage.write("done")
    #expect(first.verdict == "201")
    let (flying, idle) = (try stage.startFlying(), try stage.idleConnection())
    try stage.upgrade()
    #expect(stage.says("handed over the journal of idempotency keys; keys in flight: 1\n"))

    #expect(try stage.write("done").verdict == "201 replayed")
    #expect(try stage.write("new").verdict == "201")
    for _ in 0..<3 { #expect(try stage.write("flying").verdict == "409 GATEWAY_IDEMPOTENCY_IN_PROGRESS") }
    #expect(try stage.write("flying", "other").verdict == "422 GATEWAY_IDEMPOTENCY_KEY_REUSED")
    let shown = try stage.show("flying")
    #expect(shown.contains("\nin_flight "), "\(shown)")

    // The old process takes no new key, and no command to start another process.
    let late = try idle.asks(KeyedStage.request("late"))
    #expect(late.verdict == "503 GATEWAY_JOURNAL_UNAVAILABLE" && late.bodyText.contains("not_sent"))
    #expect(late["Retry-After"] == "1" && late["Connection"] == "close")
    #expect(try stage.write("late").verdict == "201" && stage.stage.executions == 5)
    kill(stage.current, SIGUSR2)
    #expect(stage.says("upgrade failed: the process before this one still drains"))
    #expect(try stage.write("late").verdict == "201 replayed")

    stage.land()
    let landed = try #require(try flying.next())
    #expect(landed.verdict == "201")
    let isReplayed = try eventually { try stage.write("flying").verdict == "201 replayed" }
    #expect(isReplayed && stage.stage.executions == 5)
    #expect(try stage.write("flying")["X-Original-Request-Id"] == landed["X-Request-Id"])
    #expect(stage.says("1 have an outcome and 0 are unknown"))
    for _ in 0..<2 {
      for key in ["done", "new", "late", "flying"] { #expect(try stage.write(key).verdict == "201 replayed") }
      try stage.upgrade()
    }
    #expect(stage.stage.executions == 5)
  }

  @Test func `after the old process was killed, its keys without an outcome are unknown`() throws {
    let stage = try UpgradeStage()
    defer { stage.end() }
    let (_, old) = (try stage.startFlying(), stage.current)
    try stage.upgrade()
    #expect(try stage.write("flying").verdict == "409 GATEWAY_IDEMPOTENCY_IN_PROGRESS")
    kill(old, SIGKILL)
    #expect(stage.says("0 have an outcome and 1 are unknown"))
    for _ in 0..<2 {
      #expect(try stage.write("flying").verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
      try stage.upgrade()
    }
    #expect(stage.stage.executions == 1)
  }

  @Test func `a process that was killed before it handed over is followed as after a crash`() throws {
    let stage = try UpgradeStage()
    defer { stage.end() }
    let (_, old) = (try stage.startFlying(), stage.current)
    let go = stage.root.path("go")
    try stage.replaceProgram(by: "while [ ! -e \(go) ]; do sleep 0.01; done; exec \(BuiltProgram.path()) \"$@\"")
    kill(old, SIGUSR2)
    #expect(stage.says("upgrade: started "))
    // Until the new process asks for the keys, the old one takes them.
    #expect(try stage.write("before").verdict == "201")
    kill(old, SIGKILL)
    try stage.root.write("", to: "go")
    #expect(stage.says("the older process ended before it handed over its idempotency keys"))
    #expect(stage.stage.gateway.waitUntilSaid("listening on 127.0.0.1:", times: 2))
    #expect(try stage.write("before").verdict == "201 replayed")
    #expect(try stage.write("flying").verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
    #expect(try stage.write("after").verdict == "201" && stage.stage.executions == 3)
  }

  @Test(arguments: 0..<4)
  func `a process that is killed while it hands over leaves one that serves`(run: Int) throws {
    let stage = try UpgradeStage()
    defer { stage.end() }
    #expect(try stage.write("done").verdict == "201")
    let (_, old) = (try stage.startFlying(), stage.current)
    kill(old, SIGUSR2)
    // Somewhere between its list of keys and its drain.
    #expect(stage.says("handed over the journal"))
    kill(old, SIGKILL)
    #expect(stage.stage.gateway.waitUntilSaid("listening on 127.0.0.1:", times: 2))
    let isKnown = try eventually { try stage.write("new").verdict == "201" }
    #expect(isKnown)
    var verdict = ""
    let isUnknown = try eventually {
      verdict = try stage.write("flying").verdict
      return verdict != "409 GATEWAY_IDEMPOTENCY_IN_PROGRESS"
    }
    #expect(isUnknown && verdict == "409 GATEWAY_OUTCOME_UNKNOWN", "\(verdict)")
    #expect(try stage.write("done").verdict == "201 replayed" && stage.stage.executions == 3)
  }

  // MARK: Failed upgrades

  @Test func `after a failed upgrade the process takes new keys again`() throws {
    let stage = try UpgradeStage()
    defer { stage.end() }
    let flying = try stage.startFlying()
    let other = try ListeningSocket(backlog: 1)
    // Each is after the new process has the keys.
    for number in 1...2 {
      try stage.stage.folder.writeSettings(changes: ["admin": "127.0.0.1:\(other.port)"])
      kill(stage.current, SIGUSR2)
      #expect(stage.stage.gateway.waitUntilSaid("handed over the journal", times: number))
      #expect(stage.stage.gateway.waitUntilSaid("upgrade failed: ", times: number))
      #expect(stage.stage.gateway.errors.contains("cannot listen on 127.0.0.1:\(other.port)"))
      #expect(try stage.write("new \(number)".debugDescription).verdict == "201")
      #expect(try stage.write("flying").verdict == "409 GATEWAY_IDEMPOTENCY_IN_PROGRESS")
    }
    // This one ends before that.
    try stage.stage.folder.writeSettings(changes: ["listen": 1])
    kill(stage.current, SIGUSR2)
    #expect(stage.stage.gateway.waitUntilSaid("upgrade failed: ", times: 3))
    #expect(stage.stage.gateway.errors.ranges(of: "handed over the journal").count == 2)
    stage.land()
    #expect(try flying.next()?.verdict == "201")
    #expect(try stage.write("flying").verdict == "201 replayed")

    try stage.stage.folder.writeSettings()
    try stage.upgrade()
    for key in ["\"new 1\"", "\"new 2\"", "flying"] { #expect(try stage.write(key).verdict == "201 replayed") }
    #expect(stage.stage.executions == 3)
  }

  @Test(arguments: [
    // Serves without asking for the keys, asks twice, ends after asking, closes its pipe, and says something else.
    "printf '\\001' >&7", "printf '\\002\\002' >&7; exec cat <&6 >/dev/null", "printf '\\002' >&7; exit 7",
    "printf '\\002' >&7; exec 7>&-; sleep 1; exit 7", "printf '\\003' >&7; exec sleep 60",
  ])
  func `a program that does not take the keys as it should changes nothing`(script: String) throws {
    let stage = try UpgradeStage()
    defer { stage.end() }
    try stage.replaceProgram(by: script)
    kill(stage.current, SIGUSR2)
    #expect(stage.says("upgrade failed: "))
    #expect(try stage.write("a").verdict == "201" && stage.write("a").verdict == "201 replayed")
    try stage.restoreProgram()
    try stage.upgrade()
    #expect(try stage.write("a").verdict == "201 replayed" && stage.stage.executions == 1)
  }

  @Test(arguments: [
    (true, #"null"#, "the running gateway has a journal of keys"),
    (false, "{}", "the running gateway has no journal of keys"),
    (true, #"{"folder":"other"}"#, "the running gateway has its keys in another folder than "),
  ])
  func `an upgrade does not turn the journal on or off, or change its folder`(
    isOn: Bool, setting: String, message: String
  ) throws {
    let stage = try UpgradeStage(isOn: isOn)
    defer { stage.end() }
    let path = stage.stage.folder.path + "/gateway.json"
    var settings = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path))) as? [String: Any])
    settings["idempotency"] = try JSONSerialization.jsonObject(with: Data(setting.utf8), options: .fragmentsAllowed)
    try JSONSerialization.data(withJSONObject: settings).write(to: URL(filePath: path))
    kill(stage.current, SIGUSR2)
    #expect(stage.says("upgrade failed: "))
    #expect(stage.stage.gateway.errors.contains(message), "\(stage.stage.gateway.errors)")
    #expect(stage.stage.gateway.errors.contains("an upgrade cannot change that: restart the gateway"))
    #expect(!stage.stage.gateway.errors.contains("handed over the journal"))
    #expect(try stage.write("a").verdict == "201")
    #expect(try stage.write("a").verdict == (isOn ? "201 replayed" : "201"))
  }

  // MARK: Hostile descriptors

  @Test(arguments: [
    // The length is too large, and the bytes are none of the format.
    (#"\0\0\0\0\0\1\0\0"#, "did not pass its keys in flight in a form"),
    (#"\24\0\0\0\0\0\0\0HNDOVER1\0\0\0\0aaaaaaaa"#, "did not pass its keys in flight in a form"),
    (#"\0\0\0\0\0\0\0\0"#, "did not pass its keys in flight in a form"),
  ])
  func `a process that gets no valid list of keys does not start`(bytes: String, message: String) throws {
    let stage = try KeyedStage()
    stage.gateway.stop()
    let fault = #expect(throws: GatewayProcess.NotStarted.self) { try Self.start(stage, keys: bytes) }
    #expect(fault?.output.contains(message) == true, "\(fault?.output ?? "")")
  }

  @Test func `a process that gets a lock without keys does not start`() throws {
    let stage = try KeyedStage()
    stage.gateway.stop()
    let fault = #expect(throws: GatewayProcess.NotStarted.self) {
      try Self.start(stage, keys: "", names: "journal-lock:other:ready")
    }
    #expect(fault?.output.contains("names journal-lock without journal-keys") == true, "\(fault?.output ?? "")")
  }

  @Test func `a process that gets the lock of a folder that another one uses does not start`() throws {
    let stage = try KeyedStage()
    #expect(try stage.write("a").verdict == "201")
    let fault = #expect(throws: GatewayProcess.NotStarted.self) { try Self.start(stage, keys: "") }
    #expect(fault?.output.contains("another gateway uses the folder") == true, "\(fault?.output ?? "")")
    #expect(try stage.write("a").verdict == "201 replayed")
    #expect(try stage.write("b").verdict == "201")
  }

  @Test func `a process whose predecessor sent only a part of its keys starts as after a crash`() throws {
    let stage = try KeyedStage()
    #expect(try stage.write("a").verdict == "201")
    stage.gateway.stop()
    let gateway = try Self.start(stage, keys: #"\24\0\0\0\0\0\0\0HNDO"#)
    #expect(gateway.waitUntilSaid("the older process ended before it handed over"))
    let socket = try TestSocket(port: gateway.port)
    try socket.send(KeyedStage.request("a"))
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.verdict == "201 replayed")
  }

  /// Starts a gateway as an older one does, whose list of keys is what printf(1) makes of `keys`.
  @discardableResult
  private static func start(
    _ stage: KeyedStage, keys: String, names: String = "journal-lock:journal-keys:ready"
  ) throws -> GatewayProcess {
    let script =
      "exec 3<\(stage.folder.statePath)/idempotency 4< <(printf '\(keys)') 5>/dev/null; exec \"$@\""
    return try GatewayProcess(
      stage.folder, environment: ["BLNK_GATEWAY_HANDOVER": names],
      wrapper: ["/bin/bash", "-c", script, "bash"])
  }

  // MARK: Load

  @Test(arguments: [false, true])
  func `under load, upgrades execute no write twice and give no wrong reply`(killing: Bool) throws {
    let stage = try UpgradeStage()
    defer { stage.end() }
    stage.stage.answers { request in
      let body = request.message.bodyText
      // Some are in flight at each moment, and outlive the start of a process.
      Thread.sleep(forTimeInterval: RetryingClient.isSlow(body) ? 0.5 : 0.01)
      return .bytes(ScriptedUpstream.json(body, status: "201 Created"))
    }
    let clients = (0..<4).map { RetryingClient("client-\($0)", port: stage.stage.gateway.port, mayBeUnknown: killing) }
    for number in 1...3 {
      let (old, before) = (stage.current, clients.map(\.settled.count))
      try stage.upgrade()
      if killing { kill(old, SIGKILL) }
      #expect(stage.stage.gateway.waitUntilSaid("the older process has ended", times: number))
      #expect(eventually { zip(clients, before).allSatisfy { $0.settled.count > $1 + 5 } })
    }
    for client in clients { client.stop() }
    let repeats = clients.reduce(0) { $0 + $1.repeats }
    #expect(repeats > 0, "no key was repeated while it was in flight")
    let executed = stage.stage.core.requests.map(\.message.bodyText)
    #expect(Set(executed).count == executed.count, "a write was executed twice")
    for client in clients {
      #expect(client.faults.isEmpty, "\(client.faults.prefix(5))")
      // What was answered was executed; only a write of unknown outcome may be either.
      #expect(client.settled.subtracting(executed).isEmpty)
      #expect(client.unknown.count <= (killing ? 3 : 0), "\(client.unknown)")
    }
    let answered = clients.reduce(into: Set<String>()) { $0.formUnion($1.settled.union($1.unknown)) }
    #expect(Set(executed).isSubset(of: answered))
  }
}

@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct KeyedUpgradeSlowTests {
  @Test(arguments: ["exec sleep 300", "exec sleep 300 7>&-"])
  func `a process that asks for the keys and never serves is killed after a minute, and they are taken back`(
    then script: String
  ) throws {
    let stage = try UpgradeStage()
    defer { stage.end() }
    try stage.replaceProgram(by: "printf '\\002' >&7; \(script)")
    kill(stage.current, SIGUSR2)
    #expect(stage.says("handed over the journal"))
    let refused = try stage.write("a")
    #expect(refused.verdict == "503 GATEWAY_JOURNAL_UNAVAILABLE" && refused["Retry-After"] == "1")
    let isLate = (0..<3).contains { _ in stage.says("did not serve within 60 s") }
    #expect(isLate)
    #expect(try stage.write("a").verdict == "201")
  }
}

/// A gateway with a journal that is started by a separate path, and its successors.
private final class UpgradeStage {
  let root: TemporaryFolder
  let stage: KeyedStage
  private(set) var current: Int32
  private let program: String
  private var upgrades = 0
  private let hasLanded = Landing()

  private final class Landing: Sendable {
    let value = Atomic<Bool>(false)
  }

  init(isOn: Bool = true) throws {
    root = try TemporaryFolder()
    program = root.path("blnk-gateway")
    try FileManager.default.createSymbolicLink(atPath: program, withDestinationPath: BuiltProgram.path())
    var settings: [String: any Sendable] = [
      // A fixed port, since the next process must find the same address in the settings.
      "listen": "127.0.0.1:\(try freePort())", "admin": "unix:\(root.path("admin.sock"))",
      // Time for one last request on an idle connection.
      "timeouts": ["drain_idle_s": 20],
    ]
    if !isOn { settings["idempotency"] = NSNull() }
    stage = try KeyedStage(settings: settings, program: program)
    current = stage.gateway.identifier
    stage.answers { [hasLanded] request in
      if request.message.bodyText.contains("flying") {
        _ = eventually { hasLanded.value.load(ordering: .acquiring) }
      }
      return .bytes(ScriptedUpstream.json(KeyedStage.created, status: "201 Created"))
    }
  }

  /// Ends all processes: one left over would keep Foundation's `Process` waiting.
  func end() {
    land()
    for process in processes { kill(process, SIGKILL) }
  }

  private var processes: [Int32] {
    stage.gateway.errors.matches(of: /upgrade: started .* as process ([0-9]+)\n/).compactMap { Int32($0.1) }
  }

  func upgrade() throws {
    #expect(stage.gateway.waitUntilSaid("the older process has ended", times: upgrades))
    kill(current, SIGUSR2)
    upgrades += 1
    #expect(stage.gateway.waitUntilSaid(" serves\n", times: upgrades), "\(stage.gateway.errors.suffix(2_000))")
    current = try #require(processes.last)
    // The old one drains.
    #expect(stage.gateway.waitUntilSaid("draining; ", times: upgrades))
  }

  func says(_ text: String) -> Bool { stage.gateway.waitUntilSaid(text) }

  func write(_ key: String, _ mark: String? = nil) throws -> TestMessage {
    try stage.write(key, Self.body(mark ?? key))
  }

  private static func body(_ key: String) -> String { #"{"name":"\#(key.filter { $0 != "\"" })"}"# }

  /// Sends a write that Core answers after `land`.
  func startFlying() throws -> OpenConnection {
    let connection = try OpenConnection(port: stage.gateway.port)
    let before = stage.executions
    try connection.socket.send(KeyedStage.request("flying", Self.body("flying")))
    #expect(eventually { stage.executions == before + 1 })
    return connection
  }

  func land() { hasLanded.value.store(true, ordering: .releasing) }

  /// A connection to the present process that has had a response.
  func idleConnection() throws -> OpenConnection {
    let connection = try OpenConnection(port: stage.gateway.port)
    #expect(try connection.asks(KeyedStage.request(nil, "{}")).status == 201)
    return connection
  }

  func show(_ key: String) throws -> String {
    try runCommand(
      [
        "idempotency", "show", "--client", "app", "--instance", "one", "--key", key, "--policies", stage.folder.path,
      ], environment: ["TEST_KEY": TestPolicyFolder.key]
    ).output
  }

  /// Puts a shell script where the gateway expects its program. It gets the sockets as descriptors 3 and 4, then the lock of
  /// the journal, its keys, and the pipe for messages.
  func replaceProgram(by script: String) throws {
    try FileManager.default.removeItem(atPath: program)
    try root.write("#!/bin/sh\n\(script)\n", to: "blnk-gateway")
    try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: program)
  }

  func restoreProgram() throws {
    try FileManager.default.removeItem(atPath: program)
    try FileManager.default.createSymbolicLink(atPath: program, withDestinationPath: BuiltProgram.path())
  }
}

private final class OpenConnection {
  let socket: TestSocket
  private var reader: TestMessageReader

  init(port: UInt16) throws {
    socket = try TestSocket(port: port)
    reader = TestMessageReader(socket)
  }

  func next() throws -> TestMessage? { try reader.next() }

  func asks(_ request: String) throws -> TestMessage {
    try socket.send(request)
    guard let answer = try reader.next() else { throw KeyedStage.NoAnswer() }
    return answer
  }
}

/// Writes under one new key after the other, each until it has a final reply. Of slow writes it does not await the first.
private final class RetryingClient: Sendable {
  private struct State {
    var settled: Set<String> = []
    var unknown: Set<String> = []
    var faults: [String] = []
    /// The number of replies that a key is in flight.
    var repeats = 0
    var isStopping = false
  }

  private let name: String
  private let port: UInt16
  private let mayBeUnknown: Bool
  private let state = Mutex(State())
  private let ended = DispatchSemaphore(value: 0)

  init(_ name: String, port: UInt16, mayBeUnknown: Bool) {
    (self.name, self.port, self.mayBeUnknown) = (name, port, mayBeUnknown)
    Thread { [self] in
      var connection: OpenConnection?
      for number in 0..<100_000 where !state.withLock({ $0.isStopping }) {
        settle("\(name)-\(number)", &connection)
      }
      ended.signal()
    }.start()
  }

  var settled: Set<String> { state.withLock { $0.settled } }
  var unknown: Set<String> { state.withLock { $0.unknown } }
  var faults: [String] { state.withLock { $0.faults } }
  var repeats: Int { state.withLock { $0.repeats } }

  /// Every fourth one.
  static func isSlow(_ body: String) -> Bool {
    body.firstMatch(of: /-([0-9]+)"/).flatMap { Int($0.1) }.map { $0 % 4 == 0 } ?? false
  }

  func stop() {
    state.withLock { $0.isStopping = true }
    #expect(ended.wait(timeout: .now() + Double(TestSocket.patience)) == .success)
  }

  private func settle(_ key: String, _ connection: inout OpenConnection?) {
    let body = #"{"name":"\#(key)"}"#
    if Self.isSlow(body), let left = try? OpenConnection(port: port) {
      try? left.socket.send(KeyedStage.request(key, body))
    }
    let end = Date() + Double(TestSocket.patience) / 2
    while Date() < end {
      let answer: TestMessage?
      do {
        let open = try connection ?? OpenConnection(port: port)
        answer = try open.asks(KeyedStage.request(key, body))
        connection = answer?["Connection"] == "close" ? nil : open
      } catch {
        (answer, connection) = (nil, nil)
      }
      switch answer?.verdict {
      case "201", "201 replayed":
        state.withLock { state in
          state.settled.insert(body)
          if answer?.bodyText != body { state.faults.append("\(key): \(answer?.bodyText ?? "")") }
        }
        return
      case "409 GATEWAY_OUTCOME_UNKNOWN" where mayBeUnknown:
        state.withLock { _ = $0.unknown.insert(body) }
        return
      case "409 GATEWAY_IDEMPOTENCY_IN_PROGRESS": state.withLock { $0.repeats += 1 }
      case nil, "503 GATEWAY_JOURNAL_UNAVAILABLE": break
      case let other?: state.withLock { $0.faults.append("\(key): \(other)") }
      }
      Thread.sleep(forTimeInterval: 0.01)
    }
    state.withLock { $0.faults.append("\(key): no final reply") }
  }
}
