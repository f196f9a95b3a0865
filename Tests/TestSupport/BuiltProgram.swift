import Foundation

/// The program of this build.
package enum BuiltProgram {
  package struct Missing: Error {
    let path: String
  }

  /// `swift build` puts it next to the test bundle.
  package static func path() throws -> String {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    let path = URL(fileURLWithPath: bundle).deletingLastPathComponent().appending(path: "blnk-gateway").path
    guard FileManager.default.isExecutableFile(atPath: path) else { throw Missing(path: path) }
    return path
  }
}
