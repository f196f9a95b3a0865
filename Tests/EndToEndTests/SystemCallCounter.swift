import Foundation
import TestFolders

/// Counts the system calls of a running process with strace(1).
struct SystemCallCounter {
  private let identifier: Int32

  struct Unreadable: Error {
    let summary: String
  }

  init(_ identifier: Int32) { self.identifier = identifier }

  /// The system calls of all threads while `work` runs. It has to end the process: a strace that was started from a
  /// Dispatch thread inherits a mask that blocks all signals that could stop it.
  func count(during work: () throws -> Void) throws -> Int {
    try withTemporaryFolder { folder in try count(into: folder.path("summary"), during: work) }
  }

  private func count(into summary: String, during work: () throws -> Void) throws -> Int {
    let strace = Process()
    strace.executableURL = URL(fileURLWithPath: "/usr/bin/strace")
    strace.arguments = ["-f", "-c", "-p", "\(identifier)", "-o", summary]
    let errors = Pipe()
    strace.standardError = errors
    strace.standardInput = FileHandle.nullDevice
    try strace.run()
    // It writes to standard error when it is attached.
    _ = errors.fileHandleForReading.availableData
    try work()
    strace.waitUntilExit()
    let text = try String(contentsOfFile: summary, encoding: .utf8)
    guard let total = text.split(separator: "\n").last(where: { $0.hasSuffix("total") }),
      let calls = total.split(separator: " ").dropFirst(3).first.flatMap({ Int($0) })
    else { throw Unreadable(summary: text) }
    return calls
  }
}
