import Foundation
import TestFolders

/// `check-jsonschema` of PyPI.
enum SchemaChecker {
  static let isThere = package.install()

  private static let package = PythonPackage("check-jsonschema", version: "0.39.0")

  private struct Report: Decodable {
    struct Entry: Decodable { let filename: String }

    let errors: [Entry]?
    let parse_errors: [Entry]?
  }

  /// Those of the files that the schema rejects.
  static func rejected(of files: [String], by schema: String) throws -> Set<String> {
    let (_, output) = try package.run("check-jsonschema", ["--output-format", "json", "--schemafile", schema] + files)
    let report = try JSONDecoder().decode(Report.self, from: output)
    return Set(((report.errors ?? []) + (report.parse_errors ?? [])).map(\.filename))
  }

  /// Whether these are JSON Schemas themselves.
  static func areSchemas(_ files: [String]) throws -> Bool {
    try package.run("check-jsonschema", ["--check-metaschema"] + files).status == 0
  }
}
