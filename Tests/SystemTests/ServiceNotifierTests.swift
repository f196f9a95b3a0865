import Foundation
import System
import TestFolders
import TestSupport
import Testing

/// Notifications in the form of sd_notify(3).
@Suite struct ServiceNotifierTests {
  @Test(arguments: [true, false])
  func `sends assignments in one datagram, to a path or an abstract name`(isAbstract: Bool) throws {
    try withTemporaryFolder { folder in
      let address = isAbstract ? "@blnk-gateway-\(UInt64.random(in: 0 ..< .max))" : folder.path("notify")
      let manager = try NotificationSocket(address)
      let notifier = try #require(ServiceNotifier(address: address))
      try notifier.send([.ready, .status("serving generation 1")])
      try notifier.send([.reloading(monotonicMicroseconds: 17)])
      try notifier.send([.stopping, .extendTimeout(microseconds: 70_000_000)])
      try notifier.send([.alive])
      try notifier.send([.mainProcess(4711), .ready])
      #expect(try manager.next() == ["READY=1", "STATUS=serving generation 1"])
      #expect(try manager.next() == ["RELOADING=1", "MONOTONIC_USEC=17"])
      #expect(try manager.next() == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=70000000"])
      #expect(try manager.next() == ["WATCHDOG=1"])
      #expect(try manager.next() == ["MAINPID=4711", "READY=1"])
    }
  }

  @Test func `takes addresses up to the last byte that a socket's address holds`() throws {
    for prefix in ["/", "@"] {
      #expect(ServiceNotifier(address: prefix + String(repeating: "x", count: 106)) != nil)
      #expect(ServiceNotifier(address: prefix + String(repeating: "x", count: 107)) == nil)
      #expect(ServiceNotifier(address: prefix) == nil)
    }
    let longest = "@" + String(repeating: "\(UInt64.random(in: 1 << 63 ..< .max))", count: 6).prefix(106)
    let manager = try NotificationSocket(longest)
    try #require(ServiceNotifier(address: longest)).send([.ready])
    #expect(try manager.next() == ["READY=1"])
  }

  @Test(arguments: [
    ("one\ntwo\u{1b}[31m\u{85}", "one two [31m "),
    (String(repeating: "x", count: 1_024), String(repeating: "x", count: 1_024)),
    (String(repeating: "x", count: 1_025), String(repeating: "x", count: 1_021) + "…"),
    (String(repeating: "é", count: 600), String(repeating: "é", count: 510) + "…"),
  ])
  func `a status is one line of at most 1024 bytes`(text: String, sent: String) throws {
    try withTemporaryFolder { folder in
      let manager = try NotificationSocket(folder.path("notify"))
      try #require(ServiceNotifier(address: manager.address)).send([.status(text)])
      #expect(try manager.next() == ["STATUS=\(sent)"])
    }
  }

  @Test func `reaches a manager that has replaced its socket, and fails without one`() throws {
    try withTemporaryFolder { folder in
      let path = folder.path("notify")
      let notifier = try #require(ServiceNotifier(address: path))
      #expect(throws: Errno.self) { try notifier.send([.ready]) }
      for _ in 0..<2 {
        let manager = try NotificationSocket(path)
        try notifier.send([.ready])
        #expect(try manager.next() == ["READY=1"])
        try FileManager.default.removeItem(atPath: path)
      }
    }
  }

  @Test func `waits for a manager that does not read, but not for long`() throws {
    try withTemporaryFolder { folder in
      let manager = try NotificationSocket(folder.path("notify"))
      let notifier = try #require(ServiceNotifier(address: manager.address))
      let start = SystemClock.milliseconds
      #expect(throws: Errno.wouldBlock) {
        for _ in 0..<100_000 { try notifier.send([.alive]) }
      }
      #expect((1_500...20_000).contains(SystemClock.milliseconds - start))
    }
  }
}
