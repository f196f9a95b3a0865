import Foundation
import Synchronization
import TestFolders
import TestSupport
import Testing

/// An instance that hangs must not affect the latency of another.
@Suite(.scopedFixtures, .serialized) struct IsolationTests {
  /// In milliseconds; a blocked loop takes seconds. Applies unless an undisturbed gateway is as slow.
  private static let p99Max = 20.0

  @Test func `an instance whose connect never completes leaves another alone`() throws {
    let hole = try FullBacklog()
    try expectQuick(beside: "http://127.0.0.1:\(hole.port)", status: 504)
  }

  @Test func `an instance that refuses connections leaves another alone`() throws {
    let refusing = try RefusingPort()
    try expectQuick(beside: "http://127.0.0.1:\(refusing.number)", status: 502)
  }

  @Test func `an instance that never answers leaves another alone`() throws {
    let silent = try ScriptedUpstream { _ in .stall([]) }
    try expectQuick(beside: "http://127.0.0.1:\(silent.port)", status: 504)
  }

  @Test func `an instance that drips its answers leaves another alone`() throws {
    let slow = try RawUpstream { socket in
      _ = try? socket.receive()
      for byte in ScriptedUpstream.json(String(repeating: "x", count: 200)) {
        guard (try? socket.send([byte])) != nil else { return }
        // 0.6 s for the whole response.
        Thread.sleep(forTimeInterval: 0.002)
      }
    }
    try expectQuick(beside: "http://127.0.0.1:\(slow.port)", status: 200)
  }

  @Test func `an instance whose name resolution hangs leaves another alone`() throws {
    let library = try HangingResolver(name: "hanging.test", seconds: 8)
    try expectQuick(beside: "http://hanging.test:5001", status: 504, environment: ["LD_PRELOAD": library.path])
  }

  /// At most 16 checks run at once: without their timeout, checks of hanging names would take half a minute.
  @Test(
    .enabled(if: NameServer.isPossible, "port 53 and a mount namespace take rights that this machine does not give"))
  func `instances whose names hang do not delay the health checks of others`() throws {
    let isWell = Mutex(false)
    let core = try ScriptedUpstream { _ in
      .bytes(ScriptedUpstream.json("{}", status: isWell.withLock { $0 } ? "200 OK" : "503 Down"))
    }
    let server = try NameServer(nil)
    let hanging = (0..<17).map { ("hanging-\($0)", "http://hanging-\($0).test:5001") }
    let folder = try TestPolicyFolder(
      instances: [("well", "http://127.0.0.1:\(core.port)")] + hanging, instance: ["health": ["interval_s": 0.5]])
    let gateway = try GatewayProcess(folder, wrapper: server.wrapper(in: folder.statePath))
    #expect(gateway.waitUntilSaid("health check fails", times: 18))
    let start = ContinuousClock.now
    isWell.withLock { $0 = true }
    #expect(gateway.waitUntilSaid("instance well: health check succeeds again"))
    #expect(ContinuousClock.now - start < .seconds(15))
  }

  /// Measures a healthy instance while requests to the other one are in progress on the same loop.
  private func expectQuick(beside url: String, status: Int, environment: [String: String] = [:]) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)"), ("bad", url)], loops: 1,
      instance: ["breaker": ["failures": 0], "timeouts": ["connect_s": 1, "first_byte_s": 1]])
    let gateway = try GatewayProcess(folder, environment: environment)
    let undisturbed = try GatewayProcess(folder, environment: environment)
    var stuck: [TestSocket] = []
    for _ in 0..<8 {
      let socket = try TestSocket(port: gateway.port)
      try socket.send(testRequest("GET", "/proxy/balances?instance_id=bad"))
      stuck.append(socket)
    }
    // A busy machine may spoil a round; a loop that blocks spoils them all.
    var isQuick = false
    for _ in 0..<5 where !isQuick {
      let (alone, beside) = (try percentile99(of: undisturbed), try percentile99(of: gateway))
      print("p99 with \(url): \(beside) ms, alone \(alone) ms")
      isQuick = beside <= max(Self.p99Max, 3 * alone)
    }
    #expect(isQuick)
    for socket in stuck {
      var reader = TestMessageReader(socket)
      let answer = try reader.next()
      #expect(answer?.status == status)
    }
  }

  private func percentile99(of gateway: GatewayProcess) throws -> Double {
    let socket = try TestSocket(port: gateway.port)
    var reader = TestMessageReader(socket)
    var times: [Duration] = []
    for _ in 0..<300 {
      let start = ContinuousClock.now
      try socket.send(testRequest("GET", "/proxy/balances?instance_id=one"))
      #expect(try reader.next()?.status == 200)
      times.append(ContinuousClock.now - start)
    }
    return times.sorted()[297] / .milliseconds(1)
  }
}

/// A library to preload that makes getaddrinfo(3) sleep for one name.
private struct HangingResolver {
  var path: String { folder.path("resolver.so") }
  private let folder: TemporaryFolder

  struct NotBuilt: Error {
    let status: Int32
  }

  init(name: String, seconds: Int) throws {
    folder = try TemporaryFolder()
    let source =
      """
      #define _GNU_SOURCE
      #include <dlfcn.h>
      #include <netdb.h>
      #include <string.h>
      #include <unistd.h>
      int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
        if (node && !strcmp(node, "\(name)")) { sleep(\(seconds)); return EAI_AGAIN; }
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(node, service, hints, result);
      }
      """
    try folder.write(source, to: "resolver.c")
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: "/usr/bin/gcc")
    compiler.arguments = ["-shared", "-fPIC", "-o", path, folder.path("resolver.c")]
    try compiler.run()
    compiler.waitUntilExit()
    guard compiler.terminationStatus == 0 else { throw NotBuilt(status: compiler.terminationStatus) }
  }
}
