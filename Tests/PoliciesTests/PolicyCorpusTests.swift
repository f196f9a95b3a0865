import Foundation
import Testing

@Suite struct PolicyCorpusTests {
  private static let properties: [String: @Sendable ([UInt8]) throws -> Void] = [
    "policy-file": PolicyFileProperty.check, "introspection-answer": IntrospectionProperty.check,
  ]

  @Test(arguments: properties.keys)
  func `the corpus of the fuzzer holds what it must`(name: String) throws {
    let check = try #require(Self.properties[name])
    let folder = URL(filePath: #filePath).appending(path: "../../Fuzz/corpus/\(name)").standardized
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    #expect(files.count > 5)
    for file in files {
      let bytes = Array(try Data(contentsOf: file))
      #expect(throws: Never.self, "\(file.path)") { try check(bytes) }
    }
  }
}
