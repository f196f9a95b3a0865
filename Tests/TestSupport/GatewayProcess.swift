import Foundation
import Synchronization

/// A gateway in a process of its own.
package final class GatewayProcess {
  package let port: UInt16
  package let identifier: Int32
  private let process = Process()
  private let folder: TestPolicyFolder
  private let errorText: ErrorText

  package struct NotStarted: Error {
    let output: String
  }

  /// What the process writes on standard error, read as it comes so that it never waits for us.
  private final class ErrorText: Sendable {
    let text = Mutex("")
    let hasMore = DispatchSemaphore(value: 0)
  }

  /// - Parameters:
  ///   - environment: what is added to the environment, such as a preloaded library.
  ///   - wrapper: a command that becomes the program, and its arguments before the program's.
  package init(
    _ folder: TestPolicyFolder, environment: [String: String] = [:], wrapper: [String] = []
  ) throws {
    let command =
      wrapper + [try BuiltProgram.path(), "serve", "--policies", folder.path, "--state", folder.statePath]
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.environment = ProcessInfo.processInfo.environment
      .merging(["TEST_KEY": TestPolicyFolder.key]) { $1 }
      // The leak checker cannot look into a process that is traced.
      .merging(wrapper.isEmpty ? ["LSAN_OPTIONS": "detect_leaks=1"] : [:]) { $1 }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    let errors = Pipe()
    process.standardError = errors
    let errorText = ErrorText()
    try process.run()
    // A thread of its own: Foundation's handler for this has brought the test process down at the end of a pipe.
    Thread { Self.read(errors.fileHandleForReading, into: errorText) }.start()
    var port: UInt16?
    while port == nil {
      // A large folder takes a build without optimization seconds, and a busy machine several times as long.
      guard errorText.hasMore.wait(timeout: .now() + .seconds(6 * TestSocket.patience)) == .success else { break }
      let text = errorText.text.withLock { $0 }
      port = text.firstMatch(of: /listening on 127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) }
      if port == nil, !process.isRunning { break }
    }
    guard let port else { throw NotStarted(output: errorText.text.withLock { $0 }) }
    self.port = port
    self.folder = folder
    self.errorText = errorText
    identifier = process.processIdentifier
  }

  private static func read(_ errors: FileHandle, into errorText: ErrorText) {
    var data = Data()
    repeat {
      data = errors.availableData
      errorText.text.withLock { $0 += String(decoding: data, as: UTF8.self) }
      errorText.hasMore.signal()
    } while !data.isEmpty
  }

  /// Where operators connect; nil: off, unless the test asks for it by `"admin": "127.0.0.1:0"`.
  package var adminPort: UInt16? {
    guard waitUntilSaid("for operators: ") else { return nil }
    return errors.firstMatch(of: /for operators: 127\.0\.0\.1:([0-9]+),/).flatMap { UInt16($0.1) }
  }

  /// What it has said on standard error.
  package var errors: String { errorText.text.withLock { $0 } }

  /// Waits until it has said `text` on standard error so many times.
  package func waitUntilSaid(_ text: String, times: Int = 1) -> Bool {
    let end = Date() + Double(TestSocket.patience)
    while errors.ranges(of: text).count < times {
      guard Date() < end else { return false }
      _ = errorText.hasMore.wait(timeout: .now() + 0.1)
    }
    return true
  }

  /// What its descriptors are open on, by number.
  package var descriptors: [Int: String] {
    let folder = "/proc/\(identifier)/fd/"
    let numbers = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap { Int($0) }
    let pairs = numbers.compactMap { number in
      (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "\(number)")).map { (number, $0) }
    }
    return Dictionary(uniqueKeysWithValues: pairs)
  }

  /// The paths of the files that it holds open, `… (deleted)` for those that have none any more.
  package var openFiles: [String] { descriptors.values.filter { $0.hasPrefix("/") } }

  package func signal(_ number: Int32) { kill(identifier, number) }

  /// Memory in use (KiB), from the kernel's count of resident pages.
  package func residentKibibytes() throws -> Int { try kibibytes(/VmRSS:\s*([0-9]+) kB/) }

  /// The part of it that is its own (KiB): without the pages of program and libraries, of which the kernel keeps more or
  /// fewer in memory as it likes.
  package func ownKibibytes() throws -> Int { try kibibytes(/RssAnon:\s*([0-9]+) kB/) }

  private func kibibytes(_ line: Regex<(Substring, Substring)>) throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(identifier)/status", encoding: .utf8)
    return status.firstMatch(of: line).flatMap { Int($0.1) } ?? 0
  }

  /// Ends it by SIGTERM; its exit status.
  @discardableResult
  package func stop() -> Int32 {
    process.terminate()
    return waitForEnd()
  }

  /// Waits for the end that a signal has begun; its exit status.
  package func waitForEnd() -> Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }
}
