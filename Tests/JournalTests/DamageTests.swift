import Digests
import Foundation
import Glibc
import System
import TestFolders
import Testing

@testable import Journal

/// What a process answers after its files were cut or changed.
@Suite struct DamageTests {
  /// Too long for its record, so that it is in the bodies file.
  private static let body = String(repeating: "body", count: 300)

  /// One key in each state, each in its own batch, the last one stored.
  private static let writes = ["unknown", "stored", "not kept", "free", "last"].map { KeyedWrite(key: $0) }

  private func filled() throws -> (JournalFolder, keys: String, bodies: String) {
    let folder = try JournalFolder()
    let running = try folder.open()
    for write in Self.writes.dropLast() { #expect(running.claim(write) == .durable) }
    #expect(running.record(.created(Self.body), Self.writes[1]) == .durable)
    #expect(running.record(.responseNotKept(status: 200), Self.writes[2]) == .durable)
    #expect(running.record(.notSent, Self.writes[3]) == .durable)
    #expect(running.claim(Self.writes[4]) == .durable)
    #expect(running.record(.created("last body"), Self.writes[4]) == .durable)
    running.stop()
    return (folder, folder.path(try folder.names(".keys")[0]), folder.path(try folder.names(".bodies")[0]))
  }

  /// Asks for each key in turn, with the request that claimed it.
  private func answers(_ folder: JournalFolder) throws -> [Answer] {
    let running = try folder.open()
    defer { running.stop() }
    return Self.writes.map { running.claim($0) }
  }

  /// Writes the segment's files, and removes those of later processes.
  private func set(_ folder: JournalFolder, _ path: String, _ bytes: [UInt8]) throws {
    let stem = String(try #require(path.split(separator: "/").last).prefix { $0 != "." })
    for name in try folder.names("") where !name.hasPrefix(stem) {
      try FileManager.default.removeItem(atPath: folder.path(name))
    }
    try Data(bytes).write(to: URL(filePath: path))
  }

  private static let intact: [Answer] = [
    .unknown(1), .created(Self.body), .notKept(status: 200, 1), .durable, .created("last body"),
  ]

  private static let withoutBodies: [Answer] = [
    .unknown(1), .notKept(status: 201, 1), .notKept(status: 200, 1), .durable, .created("last body"),
  ]

  @Test func `ignores a last record that is cut off at any byte`() throws {
    let (folder, keys, _) = try filled()
    let all = try folder.written(keys)
    let answers = try answers(folder)
    #expect(answers == Self.intact)
    // The last batch: its header, and a record with fields and a body.
    let record =
      JournalRecord.fixedBytes + "clientinstancelast".utf8.count + 16
      + "Content-Type: text/plain\r\nlast body".utf8.count
    let batch = BatchHeader.byteCount + record
    #expect(BatchHeader(all.span.extracting((all.count - batch)...)) != nil)
    for end in all.count - batch..<all.count {
      try set(folder, keys, Array(all[..<end]))
      #expect(try self.answers(folder) == Self.intact.dropLast() + [.unknown(1)], "cut at \(end) of \(all.count)")
    }
  }

  /// After a system stopped that wrote other sectors of the last batch first. The padding makes the batch start anywhere in a
  /// sector, also so that its header is in two.
  @Test(arguments: [0, 100, 140, 150, 158, 160, 300])
  func `ignores a last batch of which any sectors are missing`(padding: Int) throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    let padded = KeyedWrite(key: String(repeating: "p", count: padding + 1))
    #expect(running.claim(padded) == .durable)
    for write in Self.writes { #expect(running.claim(write) == .durable) }
    let fields = Array("Field: \(String(repeating: "x", count: 1_500))\r\n".utf8)
    #expect(running.record(.response(status: 201, fields: fields, body: []), Self.writes[4]) == .durable)
    running.stop()
    let keys = folder.path(try folder.names(".keys")[0])
    let all = try folder.written(keys)
    let batch = try #require(all.batchOffsets.last)
    let sectors = (batch / 512...(all.count - 1) / 512).map { max(batch, 512 * $0)..<min(all.count, 512 * ($0 + 1)) }
    #expect((4...5).contains(sectors.count))
    for written in 0..<1 << sectors.count {
      var bytes = all + [UInt8](repeating: 0, count: 5_000)
      for (number, sector) in sectors.enumerated() where written & 1 << number == 0 { bytes = bytes.without(sector) }
      try set(folder, keys, bytes)
      let answers = try answers(folder)
      #expect(answers.dropLast() == [Answer](repeating: .unknown(1), count: 4)[...])
      let isWhole = written == 1 << sectors.count - 1
      #expect((answers.last == .unknown(1)) == !isWhole, "sectors \(String(written, radix: 2))")
    }
    // All sectors are there, but not all bytes.
    for index in stride(from: batch, to: all.count - 8, by: 7) where all[index..<index + 7].contains(where: { $0 != 0 })
    {
      try set(folder, keys, (all + [UInt8](repeating: 0, count: 5_000)).without(index..<index + 7))
      #expect(throws: JournalFault.self, "zeros at \(index)") { _ = try folder.open() }
    }
  }

  @Test func `rejects missing sectors before the last batch`() throws {
    let (folder, keys, _) = try filled()
    let all = try folder.written(keys)
    let batches = all.batchOffsets
    for (batch, next) in zip(batches, batches.dropFirst()) {
      // Also with less than a sector of zeros.
      for end in [next, batch + BatchHeader.byteCount, batch + 8, batch + 1] {
        try set(folder, keys, (all + [UInt8](repeating: 0, count: 5_000)).without(batch..<end))
        #expect(throws: JournalFault.self, "zeros from \(batch) to \(end)") { _ = try folder.open() }
      }
    }
  }

  @Test func `rejects a missing sector of a record before the last batch`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    let fields = Array("Field: \(String(repeating: "x", count: 3_000))\r\n".utf8)
    #expect(running.claim(Self.writes[0]) == .durable)
    #expect(running.record(.response(status: 201, fields: fields, body: []), Self.writes[0]) == .durable)
    #expect(running.claim(Self.writes[1]) == .durable)
    running.stop()
    let keys = folder.path(try folder.names(".keys")[0])
    let all = try folder.bytes(keys)
    let batches = all.batchOffsets
    for sector in batches[1] / 512 + 1..<batches[2] / 512 {
      try set(folder, keys, all.without(512 * sector..<512 * (sector + 1)))
      #expect(throws: JournalFault.self, "sector \(sector)") { _ = try folder.open() }
    }
  }

  /// An empty response without fields ends its record in zeros, and so may the checksum of a body in the other file.
  @Test(arguments: [0, 1_500])
  func `a last batch that ends in zeros may be cut off, and no byte of it may be flipped`(bodyBytes: Int) throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    let bodies = (0...).lazy.map { number in Array("\(number)".utf8) + [UInt8](repeating: 0, count: bodyBytes) }
    let body = bodyBytes == 0 ? [] : bodies.first { CRC32C.checksum(of: $0.span) >> 24 == 0 } ?? []
    #expect(running.claim(Self.writes[0]) == .durable)
    #expect(running.record(.response(status: 204, fields: [], body: body), Self.writes[0]) == .durable)
    running.stop()
    let keys = folder.path(try folder.names(".keys")[0])
    let all = try folder.bytes(keys)
    let batch = try #require(all.batchOffsets.last)
    let found = BatchHeader(all.span.extracting(batch...))
    let header = try #require(found)
    #expect(header.zerosAtEnd == (bodyBytes == 0 ? 8 : 1))
    for index in batch..<header.end {
      var changed = all
      changed[index] ^= 4
      try set(folder, keys, changed)
      #expect(throws: JournalFault.self, "byte \(index)") { _ = try folder.open() }
      try set(folder, keys, Array(all[..<index]))
      let second = try folder.open()
      #expect(second.claim(Self.writes[0]) == .unknown(1), "cut at \(index)")
      second.stop()
    }
    try set(folder, keys, all)
    let stored = StoredResponse(status: 204, fields: [], body: body, requestIDHigh: 7, requestIDLow: 1)
    #expect(try folder.open().claim(Self.writes[0]) == .stored(stored))
  }

  /// The claims in flight that follow in the batch must not be forgotten with the instance.
  @Test func `an instance is not forgotten by a batch of which any sector is missing`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    let writes = (0..<12).map { KeyedWrite(key: "key \($0)") }
    for write in writes { #expect(running.claim(write) == .durable) }
    #expect(running.forget(instance: "instance") == .forgotten(0))
    running.stop()
    let keys = folder.path(try folder.names(".keys")[0])
    let all = try folder.written(keys)
    let batch = try #require(all.batchOffsets.last)
    for sector in batch / 512...(all.count - 1) / 512 {
      try set(folder, keys, all.without(max(batch, 512 * sector)..<min(all.count, 512 * (sector + 1))))
      let second = try folder.open()
      for write in writes { #expect(second.claim(write) == .unknown(1), "sector \(sector), \(write.key)") }
      second.stop()
    }
  }

  @Test func `a segment cut off anywhere frees no key whose record is left`() throws {
    let (folder, keys, _) = try filled()
    let all = try folder.written(keys)
    for end in stride(from: 0, to: all.count, by: 5) {
      try set(folder, keys, Array(all[..<end]))
      guard end >= SegmentHeader.byteCount else {
        #expect(throws: JournalFault.self, "cut at \(end)") { _ = try folder.open() }
        continue
      }
      let answers = try answers(folder)
      // Claims are in order, so the keys that are left are the first ones.
      let known = answers.prefix { $0 != .durable }.count
      #expect(known >= (end < 600 ? 0 : 1), "cut at \(end)")
      for (answer, intact) in zip(answers, Self.intact) {
        #expect(answer == intact || [.unknown(1), .durable].contains(answer), "cut at \(end): \(answer)")
      }
    }
  }

  @Test func `rejects every flipped byte of the keys, with file, offset and remedy`() throws {
    let (folder, keys, _) = try filled()
    let all = try folder.written(keys)
    for step in 0..<3 * all.count {
      let index = step / 3
      var changed = all
      changed[index] ^= [1, 0x80, 0xff][step % 3]
      try set(folder, keys, changed)
      let fault = #expect(throws: JournalFault.self, "byte \(index)") { _ = try folder.open() }
      guard let fault else { continue }
      let text = fault.description
      #expect(text.contains(keys) && text.contains("move it and"), "\(text)")
      if case .damaged(_, let offset, _) = fault { #expect(offset <= index && index < offset + 400) }
    }
  }

  @Test func `a flipped byte of the bodies makes only its response unreadable, and frees no key`() throws {
    let (folder, _, bodies) = try filled()
    let all = try folder.written(bodies)
    #expect(all.count == Self.body.utf8.count)
    for index in stride(from: 0, to: all.count, by: 31) + [all.count - 1] {
      var changed = all
      changed[index] ^= 0x20
      try set(folder, bodies, changed)
      var expected = Self.intact
      expected[1] = .notKept(status: 201, 1)
      #expect(try answers(folder) == expected, "byte \(index)")
    }
    #expect(folder.reports.texts.contains { $0.contains("cannot read \(bodies)") })
    for end in [0, 1, all.count - 1] {
      try set(folder, bodies, Array(all[..<end]))
      #expect(try answers(folder) == Self.withoutBodies)
    }
  }

  @Test func `zeros at the end of the keys hide no damage before them`() throws {
    let (folder, keys, _) = try filled()
    let all = try folder.written(keys)
    let last = try #require(all.batchOffsets.last)
    for index in stride(from: 0, to: last, by: 3) {
      for zeros in [600, 2_048] {
        var changed = all + [UInt8](repeating: 0, count: zeros)
        changed[index] ^= 0x10
        try set(folder, keys, changed)
        #expect(throws: JournalFault.self, "byte \(index)") { _ = try folder.open() }
      }
    }
  }

  @Test func `rejects a copy of a segment next to it`() throws {
    let (folder, keys, _) = try filled()
    let copy = folder.path("a-copy.keys")
    try Data(folder.written(keys).prefix(600)).write(to: URL(filePath: copy))
    let fault = #expect(throws: JournalFault.self) { _ = try folder.open() }
    #expect(fault == .copied(copy, keys) || fault == .copied(keys, copy))
    try FileManager.default.removeItem(atPath: copy)
    #expect(try answers(folder) == Self.intact)
  }

  @Test func `without its bodies file, a segment's responses are unreadable`() throws {
    let (folder, _, bodies) = try filled()
    try FileManager.default.removeItem(atPath: bodies)
    #expect(try answers(folder) == Self.withoutBodies)
  }

  @Test func `a pipe in place of the bodies file makes a response unreadable, and stops nothing`() throws {
    let (folder, _, bodies) = try filled()
    let running = try folder.open()
    try FileManager.default.removeItem(atPath: bodies)
    #expect(unsafe mkfifo(bodies, 0o600) == 0)
    #expect(running.claim(Self.writes[1]) == Self.withoutBodies[1])
    #expect(running.claim(Self.writes[4]) == Self.intact[4])
  }

  @Test func `accepts zeros after the last batch, or in place of its end`() throws {
    let (folder, keys, bodies) = try filled()
    let all = try folder.written(keys)
    for count in [1, 39, 40, 100, 511, 512, 4_096] {
      try set(folder, keys, all + [UInt8](repeating: 0, count: count))
      #expect(try answers(folder) == Self.intact, "\(count) zeros")
    }
    // A part of the last batch was written.
    let last = try #require(all.batchOffsets.last)
    for start in stride(from: last, to: all.count, by: 3) {
      for count in [0, 4_096] {
        let end = [UInt8](repeating: 0, count: all.count - start + count)
        try set(folder, keys, Array(all[..<start]) + end)
        #expect(try answers(folder) == Self.intact.dropLast() + [.unknown(1)], "zeros from \(start) of \(all.count)")
      }
    }
    try set(folder, keys, [UInt8](repeating: 0, count: 4_096))
    #expect(throws: JournalFault.self) { _ = try folder.open() }
    try set(folder, bodies, [])
    try set(folder, keys, [UInt8](repeating: 0, count: 4_096))
    #expect(try answers(folder) == [Answer](repeating: .durable, count: 5))
  }

  @Test func `rejects a segment whose first sector is missing, and removes nothing`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    for write in Self.writes { #expect(running.claim(write) == .durable) }
    running.stop()
    let keys = folder.path(try folder.names(".keys")[0])
    let all = try folder.written(keys)
    for missing in [SegmentHeader.byteCount, 512, all.count - 1] {
      let changed = [UInt8](repeating: 0, count: missing) + all[missing...]
      try set(folder, keys, changed)
      #expect(throws: JournalFault.damaged(keys, offset: 0, "its header is incomplete")) { _ = try folder.open() }
      #expect(try folder.bytes(keys) == changed)
    }
    try set(folder, keys, [UInt8](repeating: 0, count: 5_000))
    #expect(throws: JournalFault.self) { _ = try folder.open() }
  }

  @Test func `a record whose names are too long to be written again is unreadable, and its key not free`() throws {
    let folder = try JournalFolder()
    try folder.open().close()
    let write = KeyedWrite(key: String(repeating: "k", count: KeyedWrite.nameBytesMax + 1))
    var record: [UInt8] = []
    JournalEntry(kind: .claim, wallMicroseconds: 0, bootMicroseconds: 0, digest: write.digest, write: write).append(
      JournalRecord.BodyReference(), [], to: &record)
    let header = SegmentHeader(
      writer: 1, epoch: 0, number: 1, boot: BootID(), wallMicroseconds: 0, bootMicroseconds: 0)
    let batch = BatchHeader(
      record.span, offset: SegmentHeader.byteCount, wallMicroseconds: 0, bootMicroseconds: 0)
    let path = folder.path("20270101T000000Z-0000000000000001.keys")
    try Data(header.bytes + batch.bytes + record).write(to: URL(filePath: path))
    let running = try folder.open()
    #expect(running.claim(write) == .unreadable)
    #expect(running.forget(write) == .unreadable)
  }

  /// A made-up file can have the right checksums.
  @Test(arguments: [Int64.min, .max, -1], [Int64.min, .max, -1])
  func `times that no clock gives stop nothing`(wall: Int64, boot: Int64) throws {
    let folder = try JournalFolder()
    try folder.open().close()
    let path = folder.path("20270101T000000Z-0000000000000001.keys")
    let write = Self.writes[0]
    for bootID in [folder.clocks.clocks.boot, BootID(high: 9, low: 9)] {
      var record: [UInt8] = []
      JournalEntry(
        kind: .claim, wallMicroseconds: wall, bootMicroseconds: ~boot, digest: write.digest, write: write
      ).append(JournalRecord.BodyReference(), [], to: &record)
      let header = SegmentHeader(
        writer: 1, epoch: 0, number: 1, boot: bootID, wallMicroseconds: wall, bootMicroseconds: boot)
      let batch = BatchHeader(
        record.span, offset: SegmentHeader.byteCount, wallMicroseconds: boot, bootMicroseconds: wall)
      try Data(header.bytes + batch.bytes + record).write(to: URL(filePath: path))
      let running = try folder.open()
      folder.clocks.advance(seconds: 90_000)
      running.settle()
      #expect(running.claim(write) == .unknown(1))
      running.close()
    }
    let last = SegmentHeader(
      writer: 1, epoch: .max, number: 1, boot: BootID(), wallMicroseconds: wall, bootMicroseconds: boot)
    try Data(last.bytes).write(to: URL(filePath: path))
    #expect(throws: JournalFault.self) { _ = try folder.open() }
  }

  @Test func `rejects a record that was changed while the gateway runs, and does not free its key`() throws {
    let (folder, keys, _) = try filled()
    let all = try folder.written(keys)
    let running = try folder.open()
    defer { running.stop() }
    for index in SegmentHeader.byteCount..<all.count {
      let handle = try FileHandle(forUpdating: URL(filePath: keys))
      try handle.seek(toOffset: UInt64(index))
      try handle.write(contentsOf: Data([all[index] ^ 0x10]))
      // The free key would be claimed.
      for write in Self.writes where write.key != "free" {
        let answer = running.claim(write)
        let intact = Self.intact[Self.writes.firstIndex { $0.key == write.key } ?? 0]
        #expect(answer == .unreadable || answer == intact, "byte \(index)")
      }
      try handle.seek(toOffset: UInt64(index))
      try handle.write(contentsOf: Data([all[index]]))
      try handle.close()
    }
    try Data().write(to: URL(filePath: keys))
    #expect(running.claim(Self.writes[0]) == .unreadable)
    try FileManager.default.removeItem(atPath: keys)
    #expect(running.claim(Self.writes[1]) == .unreadable)
  }

  @Test func `rejects a segment that lost its end before the next one of its process was made`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    #expect(running.claim(Self.writes[0]) == .durable)
    folder.clocks.advance(seconds: 3_601)
    #expect(running.claim(Self.writes[1]) == .durable)
    running.stop()
    #expect(try folder.names(".keys").count == 2)
    let first = folder.path(try folder.names(".keys")[0])
    let all = try folder.written(first)
    for end in SegmentHeader.byteCount..<all.count {
      try Data(all[..<end]).write(to: URL(filePath: first))
      let fault = #expect(throws: JournalFault.self, "cut at \(end)") { _ = try folder.open() }
      #expect(fault?.description.contains(first) == true && fault?.description.contains("bytes durable") == true)
    }
    // What follows the durable part was never promised.
    try Data(all + [1, 2, 3]).write(to: URL(filePath: first))
    let second = try folder.open()
    #expect(second.claim(Self.writes[0]) == .unknown(1))
    #expect(second.claim(Self.writes[1]) == .unknown(1))
  }

  @Test func `rejects a segment that is not a regular file, or cannot be opened`() throws {
    let (folder, keys, _) = try filled()
    try FileManager.default.removeItem(atPath: keys)
    #expect(unsafe mkfifo(keys, 0o600) == 0)
    let fault = #expect(throws: JournalFault.self) { _ = try folder.open() }
    #expect(fault?.description == "idempotency: cannot read \(keys): it is not a regular file")
    try FileManager.default.removeItem(atPath: keys)
    try FileManager.default.createSymbolicLink(atPath: keys, withDestinationPath: "missing")
    #expect(throws: JournalFault.file(keys, .noSuchFile)) { _ = try folder.open() }
  }

  @Test func `rejects a segment of a newer format`() throws {
    let (folder, keys, _) = try filled()
    var changed = try folder.written(keys)
    changed.set(littleEndian: SegmentHeader.version + 1, at: 8)
    var crc = CRC32C()
    crc.update(changed.span.extracting(..<12))
    crc.update(changed.span.extracting(16..<SegmentHeader.byteCount))
    changed.set(littleEndian: crc.value, at: 12)
    try set(folder, keys, changed)
    let fault = #expect(throws: JournalFault.self) { _ = try folder.open() }
    #expect(fault == .version(keys, SegmentHeader.version + 1))
  }
}
