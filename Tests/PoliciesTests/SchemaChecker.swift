import Foundation

/// `check-jsonschema` of PyPI, in a virtual environment beside what is built.
enum SchemaChecker {
  static let version = "0.39.0"
  static let isThere = install()

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../.build/check-jsonschema-\(version)").standardizedFileURL.path
  private static var program: String { folder + "/bin/check-jsonschema" }

  private struct Report: Decodable {
    struct Entry: Decodable { let filename: String }

    let errors: [Entry]?
    let parse_errors: [Entry]?
  }

  /// Those of the files that the schema refuses.
  static func refused(of files: [String], by schema: String) throws -> Set<String> {
    let (_, output) = try run(program, ["--output-format", "json", "--schemafile", schema] + files)
    let report = try JSONDecoder().decode(Report.self, from: output)
    return Set(((report.errors ?? []) + (report.parse_errors ?? [])).map(\.filename))
  }

  /// Whether these are JSON Schemas themselves.
  static func areSchemas(_ files: [String]) throws -> Bool {
    try run(program, ["--check-metaschema"] + files).status == 0
  }

  private static func install() -> Bool {
    if FileManager.default.isExecutableFile(atPath: program) { return true }
    let pip = ["-m", "pip", "install", "--quiet", "--timeout", "10", "--retries", "1", "check-jsonschema==\(version)"]
    guard (try? run("/usr/bin/env", ["python3", "-m", "venv", "--clear", folder]).status) == 0,
      (try? run(folder + "/bin/python", pip).status) == 0
    else {
      print("skipped: check-jsonschema \(version) cannot be installed from PyPI")
      return false
    }
    return true
  }

  private static func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: Data) {
    let process = Process()
    process.executableURL = URL(filePath: program)
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
