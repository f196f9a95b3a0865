package import Foundation

/// A package of PyPI in its own virtual environment in the build folder.
package struct PythonPackage: Sendable {
  private let name: String
  private let version: String
  private let folder: String

  package init(_ name: String, version: String) {
    self.name = name
    self.version = version
    folder =
      URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../.build/\(name)-\(version)").standardizedFileURL.path
  }

  /// Whether it is installed; installs it first if necessary.
  package func install() -> Bool {
    // Written last, so that an incomplete installation is started again.
    let mark = folder + "/installed"
    if FileManager.default.fileExists(atPath: mark) { return true }
    let pip = ["-m", "pip", "install", "--quiet", "--timeout", "10", "--retries", "1", "\(name)==\(version)"]
    guard (try? Self.run("/usr/bin/env", ["python3", "-m", "venv", "--clear", folder]).status) == 0,
      (try? run("python", pip).status) == 0, FileManager.default.createFile(atPath: mark, contents: nil)
    else {
      print("skipped: \(name) \(version) cannot be installed from PyPI")
      return false
    }
    return true
  }

  /// Runs a program of the environment, for example `python`, and waits for it.
  package func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: Data) {
    try Self.run("\(folder)/bin/\(program)", arguments)
  }

  private static func run(_ path: String, _ arguments: [String]) throws -> (status: Int32, output: Data) {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, output)
  }
}
