import Foundation
import Testing

@Suite struct PolicyCorpusTests {
  @Test func `the corpus of the fuzzer holds what it must`() throws {
    let folder = URL(filePath: #filePath).appending(path: "../../Fuzz/corpus/policy-file").standardized
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    #expect(files.count > 5)
    for file in files {
      let bytes = Array(try Data(contentsOf: file))
      #expect(throws: Never.self, "\(file.path)") { try PolicyFileProperty.check(bytes) }
    }
  }
}
