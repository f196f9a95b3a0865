import Foundation
import TestFolders
import Testing

@testable import Policies

/// `policies/schema/` says of a file what the decoder says.
@Suite struct SchemaTests {
  static let files = ["gateway", "instances", "clients", "routes", "revoked"]

  static func schema(_ file: String) -> String { "\(ShippedPolicyTests.folder)/schema/\(file).json" }

  /// A file's content and who takes it: `both`, `neither`, or only the `schema`, which cannot say what is wrong.
  private struct Case {
    let file: String
    let acceptedBy: String
    let why: String
    /// As written: numbers and repeated keys would not survive a reader.
    let text: String

    init(_ line: Substring) throws {
      let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      file = try #require(object["file"] as? String)
      acceptedBy = try #require(object["accepted_by"] as? String)
      why = try #require(object["why"] as? String)
      let start = try #require(line.firstRange(of: #""document":"#)).upperBound
      text = String(line[start...].dropLast())
    }
  }

  private let cases: [Case]

  init() throws {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/schema-cases", withExtension: "jsonl"))
    cases = try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map(Case.init)
  }

  @Test func `the decoder takes and rejects the cases`() throws {
    #expect(cases.count { $0.acceptedBy != "schema" } >= 100)
    let credentials = try TemporaryFolder()
    try credentials.write(String(repeating: "t", count: 32), to: "token-key")
    for name in ["core-key.1_A", String(repeating: "c", count: 255)] { try credentials.write("hunter2", to: name) }
    for testCase in cases {
      var files = FolderFiles(["\(testCase.file).json": testCase.text])
      files.environment["CREDENTIALS_DIRECTORY"] = credentials.path
      files.environment["TOKEN_KEY"] = String(repeating: "k", count: 32)
      let result = try files.load()
      let errors = result.findings.filter { $0.severity == .error && $0.file == "policies/\(testCase.file).json" }
      let isAccepted = errors.isEmpty
      #expect(isAccepted == (testCase.acceptedBy == "both"), "\(testCase.file): \(testCase.why): \(result.findings)")
    }
  }

  @Test(.enabled(if: SchemaChecker.isThere, "check-jsonschema cannot be installed from PyPI"), arguments: files)
  func `the schema accepts and rejects the same, except for what a schema cannot express`(file: String) throws {
    let own = cases.filter { $0.file == file }
    try withTemporaryFolder { folder in
      let names = own.indices.map { "\($0).json" }
      for (name, testCase) in zip(names, own) { try folder.write(testCase.text, to: name) }
      let rejected = try SchemaChecker.rejected(of: names.map(folder.path), by: Self.schema(file))
      for (name, testCase) in zip(names, own) {
        #expect(rejected.contains(folder.path(name)) == (testCase.acceptedBy == "neither"), "\(file): \(testCase.why)")
      }
    }
  }

  @Test(.enabled(if: SchemaChecker.isThere, "check-jsonschema cannot be installed from PyPI"))
  func `the schemas take the shipped files, and name themselves in them`() throws {
    #expect(try SchemaChecker.areSchemas(Self.files.map(Self.schema)))
    // The fifth is written when something is revoked.
    for file in Self.files where file != "revoked" {
      let shipped = file == "routes" ? ["routes.full", "routes.core"] : [file]
      for path in shipped.map({ "\(ShippedPolicyTests.folder)/\($0).json" }) {
        #expect(try SchemaChecker.rejected(of: [path], by: Self.schema(file)).isEmpty)
        #expect(try String(contentsOfFile: path, encoding: .utf8).contains("\"$schema\": \"schema/\(file).json\""))
      }
    }
  }
}
