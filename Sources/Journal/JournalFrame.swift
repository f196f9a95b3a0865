import Bytes
import Digests

/// What every record starts with: the length of the rest, and the checksum of that length and the rest.
enum JournalFrame {
  static let byteCount = 8
  /// More than the longest record: names and fields of 64 KiB each.
  static let payloadBytesMax = 1 << 20

  /// Begins a record, whose payload follows; returns its start.
  static func begin(_ out: inout [UInt8]) -> Int {
    out.append(littleEndian: UInt64(0))
    return out.count - byteCount
  }

  /// Ends the record that starts at `start` and is the last one.
  static func end(from start: Int, _ out: inout [UInt8]) {
    out.set(littleEndian: UInt32(out.count - start - byteCount), at: start)
    out.set(littleEndian: checksum(out.span.extracting(start...)), at: start + 4)
  }

  /// The number of bytes of the record that starts here; nil if no record has this length.
  static func length(_ bytes: Span<UInt8>) -> Int? {
    let payload = Int(bytes.littleEndian(UInt32.self, at: 0))
    return payload > payloadBytesMax || payload == 0 ? nil : byteCount + payload
  }

  /// Whether the checksum of a whole record is right.
  static func isIntact(_ record: Span<UInt8>) -> Bool {
    record.littleEndian(UInt32.self, at: 4) == checksum(record)
  }

  private static func checksum(_ record: Span<UInt8>) -> UInt32 {
    var crc = CRC32C()
    crc.update(record.extracting(..<4))
    crc.update(record.extracting(byteCount...))
    return crc.value
  }
}

/// What every write to a segment starts with. It gives the length of the write, so that a write that was cut off differs
/// from one that was changed.
struct BatchHeader: Equatable {
  static let kind: UInt8 = 1
  /// With its frame.
  static let byteCount = 40

  /// The number of bytes of records that follow.
  let recordBytes: Int
  /// Where in the file this header is.
  let offset: Int
  let wallMicroseconds: Int64
  let bootMicroseconds: Int64

  /// How many of the last bytes of its records are zeros.
  let zerosAtEnd: UInt8

  /// Where in the file its last record ends.
  var end: Int { offset + Self.byteCount + recordBytes }

  /// - Parameter records: those that follow.
  init(_ records: Span<UInt8>, offset: Int, wallMicroseconds: Int64, bootMicroseconds: Int64) {
    recordBytes = records.count
    zerosAtEnd = UInt8(clamping: records.zerosAtEnd)
    self.offset = offset
    self.wallMicroseconds = wallMicroseconds
    self.bootMicroseconds = bootMicroseconds
  }

  /// Nil if these bytes are not an intact header.
  init?(_ bytes: Span<UInt8>) {
    guard bytes.count >= Self.byteCount, JournalFrame.length(bytes) == Self.byteCount, bytes[8] == Self.kind,
      JournalFrame.isIntact(bytes.extracting(..<Self.byteCount))
    else { return nil }
    zerosAtEnd = bytes[9]
    recordBytes = Int(bytes.littleEndian(UInt32.self, at: 12))
    offset = Int(clamping: bytes.littleEndian(UInt64.self, at: 16))
    wallMicroseconds = bytes.signed(at: 24)
    bootMicroseconds = bytes.signed(at: 32)
  }

  var bytes: [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(Self.byteCount)
    let start = JournalFrame.begin(&out)
    out.append(
      words: [
        UInt64(Self.kind) | UInt64(zerosAtEnd) << 8 | UInt64(UInt32(recordBytes)) << 32, UInt64(offset),
        UInt64(bitPattern: wallMicroseconds), UInt64(bitPattern: bootMicroseconds),
      ])
    JournalFrame.end(from: start, &out)
    return out
  }
}
