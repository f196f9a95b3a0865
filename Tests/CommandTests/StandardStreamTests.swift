import Foundation
import TestFolders
import Testing

/// A program that is started without some of its standard streams.
@Suite struct StandardStreamTests {
  /// What `command` writes, run by a shell that closes descriptors by `redirections`.
  private func run(_ command: String, _ redirections: String, in folder: TemporaryFolder) throws -> Int32 {
    let shell = Process()
    shell.executableURL = URL(filePath: "/bin/sh")
    shell.arguments = ["-c", "exec \(command) \(redirections)"]
    shell.currentDirectoryURL = folder.url
    shell.standardInput = FileHandle.nullDevice
    shell.standardOutput = FileHandle.nullDevice
    shell.standardError = FileHandle.nullDevice
    try shell.run()
    shell.waitUntilExit()
    return shell.terminationStatus
  }

  @Test(arguments: ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
  func `what is said on a closed standard error goes into no file`(redirections: String) throws {
    try withTemporaryFolder { folder in
      for name in ["policies", "state"] { try folder.makeFolder(name) }
      try folder.write(
        #"{"listen": "127.0.0.1:0", "admin": null, "access_log": "access.jsonl", "audit_log": "audit.log", "#
          + #""audit_key": {"env": "AUDIT_KEY"}, "timeouts": {"drain_s": 1}}"#, to: "policies/gateway.json")
      try folder.write(
        #"{"instances": {"one": {"url": "http://127.0.0.1:1", "key": {"env": "AUDIT_KEY"}}}}"#,
        to: "policies/instances.json")
      try folder.write(#"{"clients": {}}"#, to: "policies/clients.json")
      let serve = "timeout -s TERM 3 env AUDIT_KEY=k \(Program.path) serve --policies policies --state state"
      // 124: timeout(1) has ended it.
      #expect(try run(serve, redirections, in: folder) == 124)
      let audit = try String(contentsOfFile: folder.path("state/audit.log"), encoding: .utf8)
      let lines = audit.split(separator: "\n")
      #expect(lines.count == 2 && lines.allSatisfy { $0.hasPrefix("{") }, "\(audit)")
      #expect(try String(contentsOfFile: folder.path("state/access.jsonl"), encoding: .utf8).isEmpty)
    }
  }
}
