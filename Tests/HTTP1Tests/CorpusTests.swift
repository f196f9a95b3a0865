import Foundation
import Testing

/// Runs the seeds and the findings of the fuzzers again.
@Suite struct CorpusTests {
  @Test func `the corpora of the fuzzers satisfy every property`() throws {
    let properties: [(String, ([UInt8]) throws -> Void)] = [
      ("request-head", Properties.requestHead), ("response-head", Properties.responseHead),
      ("chunked-body", Properties.chunkedBody), ("query", Properties.query),
      ("idempotency-key", Properties.idempotencyKey),
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
