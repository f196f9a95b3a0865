import Foundation
import Glibc
import System
import TestFolders
import Testing

/// A process that waits for another one to take its place: shell scripts, with the lock as descriptor 3, the keys as 4 and
/// the pipe for messages as 5.
@Suite struct SuccessorTests {
  private static let keys = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }

  /// As `serve` does: the other process may have closed its pipe.
  init() { _ = signal(SIGPIPE, SIG_IGN) }

  private static func outcome(
    of script: String, milliseconds: Int = 30_000, handOver: () -> [UInt8]? = { keys }
  ) throws -> Successor.Outcome {
    try withTemporaryFolder { folder in
      let lock = try FolderLock(folder.path, waitingMilliseconds: 0)
      let successor = try Successor(
        program: "/bin/sh", arguments: ["-c", script],
        environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? ""], sockets: [], journalLock: lock.number)
      let process = successor.identifier
      let outcome = successor.waitUntilReady(milliseconds: milliseconds, handOver: handOver)
      // A zombie would keep the exit tests of other suites waiting.
      if outcome == .ready { _ = waitpid(process, nil, 0) }
      #expect(kill(process, 0) != 0 && errno == ESRCH, "it has not ended")
      return outcome
    }
  }

  @Test func `it gets all keys, of any number, after their length`() throws {
    let sum = "printf '\\002' >&5; sum=$(head -c 1000008 <&4 | cksum); "
    let expected = (0..<8).map { UInt8(truncatingIfNeeded: Self.keys.count >> (8 * $0)) } + Self.keys
    try withTemporaryFolder { folder in
      try Data(expected).write(to: folder.url.appending(path: "keys"))
      let script = sum + "[ \"$sum\" = \"$(cksum <\(folder.path("keys")))\" ] && printf '\\001' >&5"
      #expect(try Self.outcome(of: script) == .ready)
    }
  }

  @Test(arguments: [
    // Says nothing, asks and does not read, closes its pipe.
    "exec sleep 60", "printf '\\002' >&5; exec sleep 60", "exec 5>&-; exec sleep 60",
    "printf '\\002' >&5; exec 5>&-; exec sleep 60",
  ])
  func `it is killed when its time is over`(script: String) throws {
    let start = ContinuousClock.now
    #expect(try Self.outcome(of: script, milliseconds: 300) == .late)
    #expect(ContinuousClock.now - start < .seconds(30))
  }

  @Test(
    arguments: [
      ("exit 7", .exited(code: 7)), ("printf '\\002' >&5; exit 7", .exited(code: 7)), ("kill -9 $$", .signaled(9)),
      ("exec 5>&-; sleep 0.1; exit 7", .exited(code: 7)), ("printf '\\001' >&5; exec sleep 60", .keysNotHandedOver),
      ("printf '\\377' >&5; exec sleep 60", .keysNotHandedOver),
      ("printf '\\002' >&5; head -c 1000008 <&4 >/dev/null; printf '\\002' >&5; exec sleep 60", .keysNotHandedOver),
    ] as [(String, Successor.Outcome)])
  func `it does not take over by anything else`(script: String, outcome: Successor.Outcome) throws {
    #expect(try Self.outcome(of: script) == outcome)
  }

  @Test func `it is killed if there are no keys to hand over`() throws {
    #expect(try Self.outcome(of: "printf '\\002' >&5; exec sleep 60") { nil } == .keysNotHandedOver)
  }
}
