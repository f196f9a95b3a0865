import Digests
import Foundation
import TestValues
import Testing

@testable import Journal

@Suite struct RecordTests {
  @Test func `reads what it writes, and any other bytes without a trap`() throws {
    #expect(RecordProperties.samples.filter { StoredRecord($0.span) != nil }.count == 6)
    for sample in RecordProperties.samples {
      try RecordProperties.check(sample)
      for index in sample.indices {
        try RecordProperties.check(Array(sample[..<index]))
        for change in [1, 0x80, 0xff] as [UInt8] {
          var changed = sample
          changed[index] ^= change
          try RecordProperties.check(changed)
        }
      }
    }
  }

  @Test(arguments: [1, UInt64.random(in: .min ... .max)])
  func `holds for random bytes`(seed: UInt64) throws {
    var generator = SeededGenerator(state: seed)
    for _ in 0..<3_000 {
      let count = Int.random(in: 0...300, using: &generator)
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      do { try RecordProperties.check(bytes) } catch { Issue.record("seed \(seed): \(error)") }
    }
  }

  @Test func `holds for the fuzzer's corpus`() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fuzz/corpus/journal-record")
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    #expect(files.count >= RecordProperties.samples.count)
    for file in files { try RecordProperties.check(Array(Data(contentsOf: file))) }
  }

  /// Rewrites the samples in the corpus, if `JOURNAL_CORPUS` names its folder.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["JOURNAL_CORPUS"] != nil))
  func `writes the samples`() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["JOURNAL_CORPUS"])
    for (number, sample) in RecordProperties.samples.enumerated() {
      try Data(sample).write(to: URL(filePath: "\(folder)/sample-\(number)"))
    }
  }
}
