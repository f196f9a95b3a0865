import Glibc
import System
import TestFolders
import Testing

/// What a service manager passes in environment variables.
@Suite struct ServiceEnvironmentTests {
  private static let own = "\(getpid())"

  // In a separate process: other tests read the environment meanwhile.
  @Test func `moves its variables out of the environment, and leaves all others`() async {
    await #expect(processExitsWith: .success) {
      let own = "\(getpid())"
      let variables = [
        "NOTIFY_SOCKET": "@nowhere", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": own, "LISTEN_FDS": "0",
        "LISTEN_PID": own, "LISTEN_PIDFDID": "1", "LISTEN_FDNAMES": "proxy",
      ]
      unsafe setenv("CREDENTIALS_DIRECTORY", "/run/credentials/test", 1)
      for (name, value) in variables { unsafe setenv(name, value, 1) }
      let environment = ServiceEnvironment.take()
      for name in variables.keys { try #require(unsafe getenv(name) == nil, "\(name)") }
      try #require(unsafe getenv("CREDENTIALS_DIRECTORY") != nil)
      try #require(environment.notifier()?.address == "@nowhere")
      try #require(environment.watchdog() == WatchdogTimeout(microseconds: 1_000))
      try #require(environment.inheritedSockets().all.isEmpty)
      try #require(ServiceEnvironment.take().notifier() == nil)
    }
  }

  @Test(
    arguments: [
      (nil, nil, nil), ("30000000", nil, 15_000), ("30000000", own, 15_000), ("30000000", "1", nil), ("1", nil, 1),
    ] as [(String?, String?, Int?)])
  func `the watchdog is for the process that it names, and its interval half of its timeout`(
    timeout: String?, process: String?, interval: Int?
  ) throws {
    let environment = environment(["WATCHDOG_USEC": timeout, "WATCHDOG_PID": process])
    #expect(try environment.watchdog()?.intervalMilliseconds == interval)
  }

  @Test(arguments: [
    (
      "NOTIFY_SOCKET", "vsock:2:1",
      #"$NOTIFY_SOCKET ("vsock:2:1") must be "/path" or "@name" of at most 107 bytes"#
    ),
    ("NOTIFY_SOCKET", "", #"$NOTIFY_SOCKET ("") must be "/path" or "@name" of at most 107 bytes"#),
    (
      "WATCHDOG_USEC", "30 s",
      #"$WATCHDOG_USEC ("30 s") must be a number of microseconds; set WatchdogSec= in the unit instead"#
    ),
    (
      "WATCHDOG_USEC", "0",
      #"$WATCHDOG_USEC ("0") must be a number of microseconds; set WatchdogSec= in the unit instead"#
    ),
    ("WATCHDOG_PID", "me\n", #"$WATCHDOG_PID ("me ") must be the ID of a process"#),
    ("LISTEN_PID", "-1", #"$LISTEN_PID ("-1") must be the ID of a process"#),
    ("LISTEN_FDS", "two", #"$LISTEN_FDS ("two") must be a number of descriptors, at most 64"#),
    ("LISTEN_FDS", "65", #"$LISTEN_FDS ("65") must be a number of descriptors, at most 64"#),
    (
      "LISTEN_FDNAMES", "a:b:c",
      #"$LISTEN_FDNAMES ("a:b:c") has 3 names for 1 descriptors; name each socket with FileDescriptorName="#
    ),
  ])
  func `names the variable, its value and the remedy`(name: String, value: String, message: String) {
    let valid = ["WATCHDOG_USEC": "1", "LISTEN_FDS": "1", "LISTEN_PID": Self.own]
    let environment = environment(valid.merging([name: value]) { $1 })
    let fault = #expect(throws: ServiceEnvironmentFault.self) {
      if name == "NOTIFY_SOCKET" { _ = try environment.notifier() }
      if name.hasPrefix("WATCHDOG") { _ = try environment.watchdog() }
      if name.hasPrefix("LISTEN") { _ = try environment.inheritedSockets() }
    }
    #expect(fault?.description == message)
  }

  @Test(arguments: [
    ["LISTEN_FDS": "1"], ["LISTEN_FDS": "1", "LISTEN_PID": "1"], ["LISTEN_PID": own],
    ["LISTEN_FDS": "0", "LISTEN_PID": own, "LISTEN_FDNAMES": ""],
  ])
  func `has no sockets that are for another process`(values: [String: String]) throws {
    #expect(try environment(values).inheritedSockets().all.isEmpty)
  }

  @Test func `a socket is closed unless it is taken, and found by its name`() throws {
    var ends: (Int32, Int32) = (0, 0)
    let result = unsafe withUnsafeMutableBytes(of: &ends) {
      unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, $0.baseAddress!.assumingMemoryBound(to: Int32.self))
    }
    #expect(result == 0)
    do {
      let sockets = InheritedSockets([
        InheritedSocket(FileDescriptor(owning: ends.0), name: "proxy"),
        InheritedSocket(FileDescriptor(owning: ends.1), name: "admin"),
      ])
      #expect(sockets["admin"].map(\.number) == [ends.1] && sockets["other"].isEmpty)
      let taken = sockets["proxy"][0].take()
      #expect(taken.number == ends.0 && fcntl(ends.0, F_GETFD) >= 0)
    }
    #expect(fcntl(ends.0, F_GETFD) < 0 && fcntl(ends.1, F_GETFD) < 0)
  }

  private func environment(_ values: [String: String?]) -> ServiceEnvironment {
    ServiceEnvironment(values.compactMapValues(\.self))
  }
}
