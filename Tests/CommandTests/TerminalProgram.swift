import Foundation
import Glibc
import TestFolders
import TestSupport

extension Program {
  struct TerminalOutcome {
    let exitCode: Int32
    let output: String
    /// What the terminal shows, with what was typed.
    let screen: String
  }

  struct NoTerminal: Error {}
  struct NeverEnded: Error { let screen: String }

  /// Runs the program with standard input and standard error on a new terminal; standard output is a file.
  ///
  /// - Parameter keys: typed before the program asks; `\u{4}` is Ctrl-D.
  static func runOnTerminal(
    _ arguments: [String], typing keys: String, environment: [String: String]
  ) throws -> TerminalOutcome {
    let folder = try TemporaryFolder()
    try folder.write("", to: "out")
    var (main, end) = (Int32(-1), Int32(-1))
    guard unsafe openpty(&main, &end, nil, nil, nil) == 0 else { throw NoTerminal() }
    let terminal = FileHandle(fileDescriptor: main, closeOnDealloc: true)
    let programEnd = FileHandle(fileDescriptor: end, closeOnDealloc: true)
    // Another test's program must not keep the terminal open.
    for number in [main, end] { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    process.currentDirectoryURL = folder.url
    process.environment = environment.merging(["PATH": "/usr/bin:/bin", "TERM": "dumb"]) { first, _ in first }
    process.standardInput = programEnd
    process.standardError = programEnd
    process.standardOutput = try FileHandle(forWritingTo: folder.url.appending(path: "out"))
    try process.run()
    try programEnd.close()
    try terminal.write(contentsOf: Data(keys.utf8))
    let hasEnded = eventually(every: 0.01) { !process.isRunning }
    // It inherits the signal mask of the test's thread, which blocks SIGTERM.
    if !hasEnded { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    // Another process that was started meanwhile may have the terminal open: reading must not wait for its end.
    _ = fcntl(main, F_SETFL, O_NONBLOCK)
    let screen = readAvailable(main)
    guard hasEnded else { throw NeverEnded(screen: screen) }
    return TerminalOutcome(
      exitCode: process.terminationStatus,
      output: try String(contentsOfFile: folder.path("out"), encoding: .utf8), screen: screen)
  }

  /// What the terminal shows and was not read yet.
  private static func readAvailable(_ number: Int32) -> String {
    var text: [UInt8] = []
    var bytes = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe read(number, &bytes, bytes.count)
      guard count > 0 else { return String(decoding: text, as: UTF8.self).replacing("\r\n", with: "\n") }
      text += bytes[..<count]
    }
  }
}
