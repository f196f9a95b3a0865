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
