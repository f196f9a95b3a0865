import Foundation
import TestSupport
import Testing

/// A machine or container that does not mount `/proc`.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct MissingProcTests {
  /// Dispatch watches the threads of its global queues once a second through `/proc`, and ends the process without it.
  @Test(.enabled(if: getuid() == 0, "only root can hide /proc"))
  func `the gateway still serves, long after a reload, run without /proc`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], instance: ["health": ["interval_s": 0.1]])
    let gateway = try GatewayProcess(
      folder,
      wrapper: ["/usr/bin/unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=4k none /proc && exec \"$@\"", "sh"])
    for generation in 2...4 {
      gateway.signal(SIGHUP)
      #expect(gateway.waitUntilSaid("generation \(generation) in force"))
      // Longer than two of its periods.
      Thread.sleep(forTimeInterval: 2.5)
    }
    let socket = try TestSocket(port: gateway.port)
    var reader = TestMessageReader(socket)
    try socket.send(testRequest("GET", "/proxy/balances?instance_id=one"))
    #expect(try reader.next()?.status == 200)
    #expect(gateway.stop() == 0)
  }
}
