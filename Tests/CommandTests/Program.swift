import Foundation
import TestFolders
import TestSupport
import Testing

/// The built program, next to the test bundle.
struct Program {
  struct Outcome {
    let exitCode: Int32
    let output: String
    let errors: String

    var errorLines: [Substring] { errors.split(separator: "\n") }
  }

  /// The shipped folder.
  static let policies = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../policies")
    .standardizedFileURL.path
  static let keys = ["BLNK_DEMO_KEY": "one", "BLNK_SECOND_KEY": "two"]

  private static let url = URL(filePath: ProcessInfo.processInfo.arguments[0]).deletingLastPathComponent()
    .appending(path: "blnk-gateway")

  static var path: String { url.path }

  /// Runs it to its end.
  static func run(_ arguments: [String], input: String = "", environment: [String: String] = [:]) throws -> Outcome {
    let process = try start(arguments, input: input, environment: environment)
    return process.end()
  }

  /// Runs lines in a shell, in an empty folder.
  static func shell(_ lines: String) throws -> Outcome {
    try RunningProgram(url: URL(filePath: "/bin/bash"), ["-c", lines], input: "", environment: [:]).end()
  }

  static func start(
    _ arguments: [String], input: String = "", environment: [String: String] = [:]
  ) throws -> RunningProgram {
    try RunningProgram(url: url, arguments, input: input, environment: environment)
  }
}

/// A program under way. What it writes goes to files, so that it never waits for a reader.
final class RunningProgram {
  private let process = Process()
  private let folder: TemporaryFolder

  init(url: URL, _ arguments: [String], input: String, environment: [String: String]) throws {
    folder = try TemporaryFolder()
    for name in ["in", "out", "err"] { try folder.write(name == "in" ? input : "", to: name) }
    process.executableURL = url
    process.arguments = arguments
    // Sanitizer options apply to programs under test, too, and so does the library that shows ThreadSanitizer Swift's
    // mutexes.
    let sanitizers = ProcessInfo.processInfo.environment.filter { key, _ in
      key.hasSuffix("SAN_OPTIONS") || key == "LD_PRELOAD"
    }
    process.environment = environment.merging(["PATH": "/usr/bin:/bin"]) { first, _ in first }
      .merging(sanitizers) { first, _ in first }.merging(["LSAN_OPTIONS": "detect_leaks=1"]) { first, _ in first }
    process.currentDirectoryURL = folder.url
    process.standardInput = try FileHandle(forReadingFrom: folder.url.appending(path: "in"))
    process.standardOutput = try FileHandle(forWritingTo: folder.url.appending(path: "out"))
    process.standardError = try FileHandle(forWritingTo: folder.url.appending(path: "err"))
    try process.run()
  }

  deinit { if process.isRunning { process.terminate() } }

  var output: String { text("out") }

  func signal(_ number: Int32) { kill(process.processIdentifier, number) }

  /// Waits for a line on standard error with this beginning, and returns the rest of it.
  func line(beginning start: String) throws -> String {
    try wait(for: start) {
      text("err").split(separator: "\n").dropLast(text("err").hasSuffix("\n") ? 0 : 1)
        .first { $0.hasPrefix(start) }.map { line in String(line.dropFirst(start.count)) }
    }
  }

  func waitForOutput(_ part: String) throws {
    _ = try wait(for: part) { text("out").contains(part) ? part : nil }
  }

  private func wait(for what: String, _ look: () -> String?) throws -> String {
    var found: String?
    let isThere = eventually(every: 0.01) {
      found = look()
      return found != nil
    }
    guard isThere, let found else { throw Missing(what: what, errors: text("err")) }
    return found
  }

  /// Waits for its end.
  func end() -> Program.Outcome {
    process.waitUntilExit()
    return Program.Outcome(exitCode: process.terminationStatus, output: text("out"), errors: text("err"))
  }

  private func text(_ name: String) -> String {
    (try? String(contentsOfFile: folder.path(name), encoding: .utf8)) ?? ""
  }

  struct Missing: Error {
    let what: String
    let errors: String
  }
}
