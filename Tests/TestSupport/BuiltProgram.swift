import Foundation

/// The program that this build has made, as a process of its own.
package enum BuiltProgram {
  package struct Missing: Error {
    let path: String
  }

  /// Where `swift build` puts it: beside the tests.
  package static func path() throws -> String {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    let path = URL(fileURLWithPath: bundle).deletingLastPathComponent().appending(path: "blnk-gateway").path
    guard FileManager.default.isExecutableFile(atPath: path) else { throw Missing(path: path) }
    return path
  }
}

/// A gateway in a process of its own.
package final class GatewayProcess: Sendable {
  package let port: UInt16
  package let identifier: Int32
  private let process: ProcessBox
  private let folder: TestPolicyFolder

  private final class ProcessBox: @unchecked Sendable {
    let process = Process()
  }

  package struct NotStarted: Error {
    let output: String
  }

  /// - Parameter environment: what is added to the environment, such as a preloaded library.
  package init(_ folder: TestPolicyFolder, environment: [String: String] = [:]) throws {
    let box = ProcessBox()
    let process = box.process
    process.executableURL = URL(fileURLWithPath: try BuiltProgram.path())
    process.arguments = ["serve", "--policies", folder.path, "--state", folder.statePath]
    process.environment = ProcessInfo.processInfo.environment
      .merging(["TEST_KEY": TestPolicyFolder.key]) { $1 }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    let errors = Pipe()
    process.standardError = errors
    try process.run()
    var output = ""
    var port: UInt16?
    while port == nil {
      let data = errors.fileHandleForReading.availableData
      guard !data.isEmpty else { throw NotStarted(output: output) }
      output += String(decoding: data, as: UTF8.self)
      port = output.firstMatch(of: /listening on 127\.0\.0\.1:([0-9]+)/).flatMap { UInt16($0.1) }
    }
    self.port = port ?? 0
    self.process = box
    self.folder = folder
    identifier = process.processIdentifier
  }

  /// Ends it by SIGTERM; its exit status.
  @discardableResult
  package func stop() -> Int32 {
    process.process.terminate()
    process.process.waitUntilExit()
    return process.process.terminationStatus
  }
}
