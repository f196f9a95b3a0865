import Foundation
import System
import TestFolders
import TestValues
import Testing

@testable import Journal

/// Files that no gateway has written, with right checksums.
@Suite struct ForgedSegmentTests {
  @Test(arguments: [1, 2, UInt64.random(in: .min ... .max)])
  func `any file is read or rejected, and never stops the process`(seed: UInt64) throws {
    var generator = SeededGenerator(state: seed)
    let folder = try TemporaryFolder()
    let path = folder.path("forged.keys")
    for round in 0..<400 {
      let bytes = file(&generator)
      try Data(bytes).write(to: URL(filePath: path))
      let durableBytes: [Int?] = [
        nil, nil, bytes.count, Int.random(in: 0...bytes.count + 600, using: &generator), .max,
      ]
      var reader = SegmentReader(
        try InputFile(path: path), path: path, byteCount: bytes.count, clockOffset: 0,
        durableBytes: durableBytes.randomElement(using: &generator) ?? nil,
        isGrowing: Bool.random(using: &generator))
      do throws(JournalFault) {
        try reader.forEach { record, bytes, offset, _ in
          #expect(offset >= SegmentHeader.byteCount && record.key.upperBound <= bytes.count)
        }
      } catch {
        guard case .damaged(path, let offset, _) = error, (0...bytes.count).contains(offset) else {
          Issue.record("seed \(seed), round \(round): \(error)")
          continue
        }
      }
      #expect(reader.wholeEnd <= bytes.count, "seed \(seed), round \(round)")
    }
  }

  /// A header of a segment, and batches whose headers may claim anything.
  private func file(_ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = [UInt8](repeating: 1, count: SegmentHeader.byteCount)
    for number in 0..<Int.random(in: 0...4, using: &generator) {
      var records: [UInt8] = []
      let write = KeyedWrite(key: String(repeating: "k", count: Int.random(in: 1...700, using: &generator)))
      JournalEntry(
        kind: .claim, wallMicroseconds: .max, bootMicroseconds: .min, digest: write.digest, write: write
      ).append(JournalRecord.BodyReference(), [], to: &records)
      var header = BatchHeader(
        records.span, offset: bytes.count, wallMicroseconds: .min, bootMicroseconds: Int64(number)
      ).bytes
      if Bool.random(using: &generator) {
        let counts = [0, 1, UInt32(records.count) - 1, UInt32(records.count) + 1, 600, .max]
        header.set(littleEndian: counts.randomElement(using: &generator) ?? 0, at: 12)
        header[9] = UInt8.random(in: 0...255, using: &generator)
        if Bool.random(using: &generator) {
          header.set(littleEndian: UInt64.random(in: 0 ... .max, using: &generator), at: 16)
        }
        JournalFrame.end(from: 0, &header)
      }
      bytes += header + records
    }
    let end = Int.random(in: SegmentHeader.byteCount...bytes.count, using: &generator)
    if Bool.random(using: &generator) { bytes.removeLast(bytes.count - end) }
    for _ in 0..<Int.random(in: 0...2, using: &generator) where bytes.count > SegmentHeader.byteCount {
      let start = Int.random(in: SegmentHeader.byteCount..<bytes.count, using: &generator)
      bytes = bytes.without(start..<min(bytes.count, start + Int.random(in: 0...600, using: &generator)))
    }
    return bytes + [UInt8](repeating: 0, count: Int.random(in: 0...3, using: &generator) * 400)
  }
}
