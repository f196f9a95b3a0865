import CLinux
import Foundation
import System
import Testing

@Suite struct ProcessTests {
  @Test func `a process without dumps says so to the kernel`() throws {
    let before = linux_dumpable()
    defer { _ = linux_set_dumpable(before) }
    #expect(linux_set_dumpable(1) == 0 && linux_dumpable() == 1)
    try disableDumps()
    #expect(linux_dumpable() == 0)
  }

  @Test func `the arguments are those that Swift finds with the help of /proc`() {
    #expect(CommandLineArguments.all.count > 0 && CommandLineArguments.all == CommandLine.arguments)
  }

  @Test func `a build that passes no commit and no version of Swift still has values`() throws {
    #expect(buildCommit == "unknown")
    #expect(buildSwift.wholeMatch(of: /[0-9]+\.[0-9]+( or later)?/) != nil, "\(buildSwift)")
  }
}
