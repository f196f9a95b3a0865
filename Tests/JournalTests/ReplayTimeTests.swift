import Digests
import Foundation
import System
import TestFolders
import Testing

@testable import Journal

@Suite struct ReplayTimeTests {
  /// `JOURNAL_KEYS` sets another number, for measurements.
  private var keyCount: Int { ProcessInfo.processInfo.environment["JOURNAL_KEYS"].flatMap(Int.init) ?? 100_000 }

  @Test func `reads the keys of earlier processes without their responses, quickly`() throws {
    let folder = try JournalFolder()
    var first = try folder.open()
    first.close()
    try write(keyCount, in: folder)
    // 100,000 keys take 0.1 s in a release build, and 15 times that in a debug build.
    let (start, cpu) = (SystemClock.nanoseconds, SystemClock.processNanoseconds)
    first = try folder.open()
    let seconds = Double(SystemClock.nanoseconds - start) / 1e9
    let cpuSeconds = Double(SystemClock.processNanoseconds - cpu) / 1e9
    #expect(first.journal.state.keys == keyCount)
    #expect(first.journal.state.unknown == (keyCount + 9) / 10)
    let bytes = Double(first.journal.indexBytes) / Double(keyCount)
    print("replay: \(keyCount) keys in \(seconds) s, \(cpuSeconds) s of CPU time, \(bytes) bytes of index per key")
    #expect(seconds < Double(keyCount) / 5_000)
    #expect(first.claim(KeyedWrite(key: "key-20000000-0000-4000-8000-10", id: 7)) == .unknown(10))
    // The bodies file is missing.
    #expect(first.claim(KeyedWrite(key: "key-20000000-0000-4000-8000-11", id: 7)) == .notKept(status: 201, 11))
    if keyCount >= 100_000 { #expect(bytes <= 40) }
  }

  @Test func `a keyed write takes two batches, and parallel claims share them`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    var times: [Int64] = []
    for number in 0..<200 {
      let start = SystemClock.nanoseconds
      let write = KeyedWrite(key: "\(number)")
      #expect(running.claim(write) == .durable)
      #expect(running.record(.created("x"), write) == .durable)
      times.append(SystemClock.nanoseconds - start)
    }
    #expect(running.journal.state.synchronizations == 400)
    print("claim and outcome: median \(Double(times.sorted()[100]) / 1e6) ms")
    let (entered, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    folder.faults.set { step, _ in
      if step == .append {
        entered.signal()
        gate.wait()
      }
      return nil
    }
    #expect(running.claimsWithoutWaiting(KeyedWrite(key: "first")))
    entered.wait()
    for number in 0..<1_000 { #expect(running.claimsWithoutWaiting(KeyedWrite(key: "parallel \(number)"))) }
    folder.faults.set(nil)
    gate.signal()
    running.settle()
    #expect(running.journal.state.synchronizations == 402)
  }

  /// Writes claims, and outcomes for all but every tenth, as a gateway does, into one segment.
  private func write(_ count: Int, in folder: JournalFolder) throws {
    let header = SegmentHeader(
      writer: 1, epoch: 1, number: 1, boot: BootID(high: 1, low: 1), wallMicroseconds: 1_800_000_000_000_000,
      bootMicroseconds: 5_000_000_000)
    let file = try AppendFile(
      path: folder.path("20270115T080000Z-0000000000000001.keys"), mode: 0o600)
    var out = header.bytes
    var offset = out.count
    var records: [UInt8] = []
    func end() throws {
      let batch = BatchHeader(
        records.span, offset: offset, wallMicroseconds: 1_800_000_000_000_000,
        bootMicroseconds: 5_000_000_000
      ).bytes
      offset += batch.count + records.count
      out += batch + records
      records = []
      if out.count > 1 << 20 {
        try file.append(out.span)
        out = []
      }
    }
    for number in 0..<count {
      let write = KeyedWrite(key: "key-20000000-0000-4000-8000-\(number)", id: UInt64(number))
      var entry = JournalEntry(
        kind: .claim, wallMicroseconds: 1_800_000_000_000_000, bootMicroseconds: 5_000_000_000, digest: write.digest,
        write: write)
      entry.append(JournalRecord.BodyReference(), [], to: &records)
      if !number.isMultiple(of: 10) {
        entry.kind = .response
        entry.status = 201
        entry.fields = Array("Content-Type: application/json\r\n".utf8)
        entry.append(
          JournalRecord.BodyReference(offset: 300 * number, byteCount: 300), [], to: &records)
      }
      if number.isMultiple(of: 8) { try end() }
    }
    try end()
    try file.append(out.span)
  }
}
