import Digests

@testable import Journal

/// What holds for any bytes in the journal's files; the fuzzer calls it too.
enum RecordProperties {
  struct Failure: Error {
    let what: String
  }

  /// Reads bytes as each part of a file, as they are and with the right checksums. What can be read must be written as the
  /// same bytes.
  static func check(_ bytes: [UInt8]) throws {
    try checkRecord(bytes)
    try checkRecord(withChecksum(bytes))
    try checkHeader(bytes)
    try checkHeader(headerWithChecksum(bytes))
    try checkBatch(withChecksum(bytes))
    if let keys = InheritedKeys(bytes.span), InheritedKeys(keys.bytes.span) != keys { throw Failure(what: "keys") }
  }

  private static func checkRecord(_ bytes: [UInt8]) throws {
    guard let stored = StoredRecord(bytes.span), let count = JournalFrame.length(bytes.span) else { return }
    let record = stored.record
    // Names that are not UTF-8 are written differently; the journal only writes text.
    let texts = [stored.write.client, stored.write.instance, stored.write.key]
    let names = [record.client, record.instance, record.key]
    guard zip(texts, names).allSatisfy({ Array($0.utf8) == Array(bytes[$1]) }) else { return }
    let entry = JournalEntry(
      kind: record.kind, isReconstructed: record.isReconstructed, status: record.status,
      wallMicroseconds: record.wallMicroseconds,
      bootMicroseconds: record.bootMicroseconds, digest: record.digest, write: stored.write, fields: stored.fields)
    var out: [UInt8] = []
    entry.append(record.body, stored.inlineBody, to: &out)
    if out != Array(bytes[..<count]) { throw Failure(what: "record") }
  }

  private static func checkHeader(_ bytes: [UInt8]) throws {
    guard let header = try? SegmentHeader(bytes.span) else { return }
    let again = try? SegmentHeader(header.bytes.span)
    if again != header { throw Failure(what: "header") }
  }

  private static func checkBatch(_ bytes: [UInt8]) throws {
    guard let batch = BatchHeader(bytes.span), batch.offset != Int.max else { return }
    if BatchHeader(batch.bytes.span) != batch { throw Failure(what: "batch") }
  }

  /// The same bytes as one record.
  private static func withChecksum(_ bytes: [UInt8]) -> [UInt8] {
    guard bytes.count > JournalFrame.byteCount else { return bytes }
    var record: [UInt8] = []
    let begin = JournalFrame.begin(&record)
    record += bytes[JournalFrame.byteCount...]
    JournalFrame.end(from: begin, &record)
    return record
  }

  private static func headerWithChecksum(_ bytes: [UInt8]) -> [UInt8] {
    guard bytes.count >= SegmentHeader.byteCount else { return bytes }
    var header = Array(bytes[..<SegmentHeader.byteCount])
    var crc = CRC32C()
    crc.update(header.span.extracting(..<12))
    crc.update(header.span.extracting(16...))
    header.set(littleEndian: crc.value, at: 12)
    return header
  }

  /// Files and records that a journal writes, for the fuzzer to start from.
  static var samples: [[UInt8]] {
    let write = KeyedWrite(
      client: "client", instance: "instance", key: "key", fingerprint: Digest(words: (1, 2, 3, 4)), requestIDHigh: 5,
      requestIDLow: 6)
    var samples: [[UInt8]] = []
    for kind in [JournalRecord.Kind.claim, .response, .responseNotKept, .released, .instanceForgotten] {
      var out: [UInt8] = []
      JournalEntry(
        kind: kind, isReconstructed: kind == .response, status: 201, wallMicroseconds: 7, bootMicroseconds: -8,
        digest: write.digest, write: write,
        fields: kind == .response ? Array("A: b\r\n".utf8) : []
      ).append(JournalRecord.BodyReference(), [], to: &out)
      samples.append(out)
    }
    var inline: [UInt8] = []
    JournalEntry(
      kind: .response, status: 201, wallMicroseconds: 7, bootMicroseconds: -8, digest: write.digest, write: write,
      fields: Array("A: b\r\n".utf8)
    ).append(
      JournalRecord.BodyReference(offset: JournalRecord.BodyReference.inlineOffset, byteCount: 4), Array("body".utf8),
      to: &inline)
    samples.append(inline)
    samples.append(
      SegmentHeader(
        writer: 1, epoch: 2, number: 3, boot: BootID(high: 4, low: 5), wallMicroseconds: 6, bootMicroseconds: 7,
        predecessor: SegmentHeader.Predecessor(number: 2, durableBytes: 104)
      ).bytes)
    let batch = BatchHeader([1].span, offset: 104, wallMicroseconds: 2, bootMicroseconds: 3)
    return samples + [batch.bytes]
  }
}
