import Foundation
import TestFolders
import TestSupport
import Testing

/// A program that starts without some of its standard streams.
@Suite struct StandardStreamTests {
  /// Starts `command` in a shell that closes descriptors by `redirections`.
  private func start(_ command: String, _ redirections: String, in folder: TemporaryFolder) throws -> Process {
    let program = Process()
    program.executableURL = URL(filePath: "/bin/sh")
    program.arguments = ["-c", "exec \(command) \(redirections)"]
    program.currentDirectoryURL = folder.url
    program.standardInput = FileHandle.nullDevice
    program.standardOutput = FileHandle.nullDevice
    program.standardError = FileHandle.nullDevice
    try program.run()
    return program
  }

  @Test(arguments: ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
  func `messages for a closed standard error go into no other file`(redirections: String) throws {
    try withTemporaryFolder { folder in
      for name in ["policies", "state"] { try folder.makeFolder(name) }
      try folder.write(
        #"{"listen": "127.0.0.1:0", "admin": null, "access_log": "access.jsonl", "audit_log": "audit.log", "#
          + #""audit_key": {"env": "AUDIT_KEY"}}"#, to: "policies/gateway.json")
      try folder.write(
        #"{"instances": {"one": {"url": "http://127.0.0.1:1", "key": {"env": "AUDIT_KEY"}}}}"#,
        to: "policies/instances.json")
      try folder.write(#"{"clients": {}}"#, to: "policies/clients.json")
      let serve = "env AUDIT_KEY=k \(Program.path) serve --policies policies --state state"
      let program = try start(serve, redirections, in: folder)
      let audit = folder.path("state/audit.log")
      func lines() -> [Substring] {
        (try? String(contentsOfFile: audit, encoding: .utf8))?.split(separator: "\n") ?? []
      }
      // `serve` logs its address after the audit log's first entry, and handles SIGTERM after that.
      #expect(eventually { !lines().isEmpty })
      program.terminate()
      program.waitUntilExit()
      #expect(program.terminationStatus == 0)
      #expect(lines().count == 2 && lines().allSatisfy { $0.hasPrefix("{") }, "\(lines())")
      #expect(try String(contentsOfFile: folder.path("state/access.jsonl"), encoding: .utf8).isEmpty)
    }
  }
}
