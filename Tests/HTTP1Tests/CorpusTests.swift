import Foundation
import Testing

/// What fuzzing began with and found is tried again, each time.
@Suite struct CorpusTests {
  @Test func `the corpora of the fuzzers hold what they must`() throws {
    let properties: [(String, ([UInt8]) throws -> Void)] = [
      ("request-head", Properties.requestHead), ("response-head", Properties.responseHead),
      ("chunked-body", Properties.chunkedBody), ("query", Properties.query),
    ]
    for (name, property) in properties {
      let folder = URL(filePath: #filePath).appending(path: "../../Fuzz/corpus/\(name)").standardized
      let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      #expect(files.count > 5)
      for file in files {
        let bytes = Array(try Data(contentsOf: file))
        #expect(throws: Never.self, "\(file.path)") { try property(bytes) }
      }
    }
  }
}
