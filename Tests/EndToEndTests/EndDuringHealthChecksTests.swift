import Foundation
import LoopSupport
import TestFolders
import TestSupport
import Testing

/// The end of the process while health checks run on other threads.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct EndDuringHealthChecksTests {
  /// At the end of a process OpenSSL frees what a TLS handshake on another thread still uses.
  @Test(.enabled(if: TestAuthority.shared != nil && TLSCore.isAtHand, "python3 or openssl is not installed"))
  func `ends with status 0 in the middle of TLS handshakes`() throws {
    let authority = try #require(TestAuthority.shared)
    let core = try TLSCore(authority)
    let folder = try TestPolicyFolder(
      instances: (0..<32).map { ("instance-\($0)", "https://127.0.0.1:\(core.port)") },
      instance: [
        "tls": ["ca_file": "\(authority.folder)/ca.pem", "server_name": "core.test"], "health": ["interval_s": 0.1],
      ])
    for _ in 0..<10 {
      // The handles of the transfers that it ends stay on purpose: closing one would use OpenSSL, too.
      let gateway = try GatewayProcess(folder, environment: ["LSAN_OPTIONS": "detect_leaks=0"])
      Thread.sleep(forTimeInterval: .random(in: 0.05..<0.2))
      #expect(gateway.stop() == 0)
    }
  }

  /// A check whose server never answers does not hold the process up.
  @Test func `ends at once while a health check hangs`() throws {
    let core = try ListeningSocket(backlog: 8)
    defer { core.stop() }
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], instance: ["health": ["interval_s": 0.1]])
    let gateway = try GatewayProcess(folder)
    Thread.sleep(forTimeInterval: 0.3)
    let start = Date()
    #expect(gateway.stop() == 0)
    #expect(Date().timeIntervalSince(start) < 3)
  }
}
