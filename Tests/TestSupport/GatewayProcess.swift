import Foundation
import Synchronization

/// A gateway in a separate process, until its test ends.
package final class GatewayProcess: Sendable {
  package let port: UInt16
  package let identifier: Int32
  private let process = Process()
  private let folder: TestPolicyFolder
  private let errorText: ErrorText

  package struct NotStarted: Error {
    package let output: String
  }

  /// The process crashed, or SIGTERM did not end it within a test's patience.
  package struct BadEnd: Error {
    let what: String
    let output: String
  }

  /// What the process writes to standard error, read continuously so that it never blocks.
  private final class ErrorText: Sendable {
    let text = Mutex("")
    /// Set when the process has ended or closed its standard error.
    let hasEnded = Atomic<Bool>(false)
    let hasMore = DispatchSemaphore(value: 0)
  }

  /// - Parameters:
  ///   - environment: added to the environment of the tests.
  ///   - wrapper: a command that executes the program, with its arguments.
  ///   - program: the path to start it by, and at an upgrade; nil: that of this build.
  ///   - arguments: further arguments of the program.
  ///   - whenRun: called when the command runs, for a wrapper that waits for something.
  package init(
    _ folder: TestPolicyFolder, environment: [String: String] = [:], wrapper: [String] = [],
    program: String? = nil, arguments: [String] = [], whenRun: () throws -> Void = {}
  ) throws {
    let fixtures = try Fixtures.ofTest()
    let command =
      wrapper + [try program ?? BuiltProgram.path(), "serve", "--policies", folder.path, "--state", folder.statePath]
      + arguments
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.environment = ProcessInfo.processInfo.environment
      .merging(["TEST_KEY": TestPolicyFolder.key]) { $1 }
      // The leak checker cannot inspect a traced process.
      .merging(wrapper.isEmpty ? ["LSAN_OPTIONS": "detect_leaks=1"] : [:]) { $1 }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    let errors = Pipe()
    process.standardError = errors
    let errorText = ErrorText()
    try process.run()
    // A separate thread: Foundation's readabilityHandler has crashed the tests at the end of a pipe.
    Thread { Self.read(errors.fileHandleForReading, into: errorText) }.start()
    do {
      try whenRun()
    } catch {
      if process.isRunning { process.terminate() }
      throw error
    }
    var port: UInt16?
    while port == nil {
      // A debug build takes seconds for a large folder, and a busy machine several times as long.
      guard errorText.hasMore.wait(timeout: .now() + .seconds(6 * TestSocket.patience)) == .success else { break }
      let text = errorText.text.withLock { $0 }
      port = text.firstMatch(of: /listening on 127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) }
      if port == nil, errorText.hasEnded.load(ordering: .acquiring) { break }
    }
    guard let port else {
      if process.isRunning { process.terminate() }
      throw NotStarted(output: errorText.text.withLock { $0 })
    }
    self.port = port
    self.folder = folder
    self.errorText = errorText
    identifier = process.processIdentifier
    fixtures.add(log: { self.errors }, stop: end)
  }

  private static func read(_ errors: FileHandle, into errorText: ErrorText) {
    var data = Data()
    repeat {
      data = errors.availableData
      errorText.text.withLock { $0 += String(decoding: data, as: UTF8.self) }
      if data.isEmpty { errorText.hasEnded.store(true, ordering: .releasing) }
      errorText.hasMore.signal()
    } while !data.isEmpty
  }

  /// The port of the admin endpoint, for tests that set `"admin": "127.0.0.1:0"`; nil: off.
  package var adminPort: UInt16? {
    guard waitUntilSaid("admin endpoint on ") else { return nil }
    return errors.firstMatch(of: /admin endpoint on 127\.0\.0\.1:([0-9]+)\n/).flatMap { UInt16($0.1) }
  }

  /// What it has written to standard error.
  package var errors: String { errorText.text.withLock { $0 } }

  /// Waits until it has written `text` to standard error that many times.
  package func waitUntilSaid(_ text: String, times: Int = 1) -> Bool {
    let end = Date() + Double(TestSocket.patience)
    while errors.ranges(of: text).count < times {
      guard Date() < end else { return false }
      _ = errorText.hasMore.wait(timeout: .now() + 0.1)
    }
    return true
  }

  /// What its descriptors refer to, by number.
  package var descriptors: [Int: String] {
    let folder = "/proc/\(identifier)/fd/"
    let numbers = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap { Int($0) }
    let pairs = numbers.compactMap { number in
      (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "\(number)")).map { (number, $0) }
    }
    return Dictionary(uniqueKeysWithValues: pairs)
  }

  /// The paths of its open files, `… (deleted)` for deleted ones.
  package var openFiles: [String] { descriptors.values.filter { $0.hasPrefix("/") } }

  package func signal(_ number: Int32) { kill(identifier, number) }

  /// Memory in use (KiB), from the kernel's count of resident pages.
  package func residentKibibytes() throws -> Int { try kibibytes(/VmRSS:\s*([0-9]+) kB/) }

  /// Private memory (KiB), without the pages of program and libraries, whose number depends on the kernel's caching.
  package func ownKibibytes() throws -> Int { try kibibytes(/RssAnon:\s*([0-9]+) kB/) }

  private func kibibytes(_ line: Regex<(Substring, Substring)>) throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(identifier)/status", encoding: .utf8)
    return status.firstMatch(of: line).flatMap { Int($0.1) } ?? 0
  }

  /// Ends it by SIGTERM; returns its exit status.
  @discardableResult
  package func stop() -> Int32 {
    if process.isRunning { process.terminate() }
    return waitForEnd()
  }

  /// Waits until it has ended, after a signal; returns its exit status.
  package func waitForEnd() -> Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// Ends it by SIGTERM, or by SIGKILL if that fails.
  @Sendable private func end() throws {
    if process.isRunning { process.terminate() }
    let isOver = eventually { !process.isRunning }
    if !isOver { kill(identifier, SIGKILL) }
    process.waitUntilExit()
    guard isOver else { throw BadEnd(what: "SIGTERM did not end it", output: errors) }
    let isCrash =
      process.terminationReason == .uncaughtSignal && ![SIGKILL, SIGTERM].contains(process.terminationStatus)
    if isCrash { throw BadEnd(what: "signal \(process.terminationStatus)", output: errors) }
  }
}
