import Digests

/// The first bytes of a segment's file of keys.
struct SegmentHeader: Equatable, Sendable {
  static let byteCount = 104
  static let version: UInt32 = 2
  /// More processes than ever write to a folder, so that the next epochs do not overflow.
  private static let epochMax: UInt64 = 1 << 48
  private static let magic: UInt64 = 0x5359_454b_4b4e_4c42  // "BLNKKEYS" as bytes.

  /// Of the process that writes it.
  var writer: UInt64
  /// Counts the processes that wrote to the folder: segments are in the order of epoch and number.
  var epoch: UInt64
  /// Counts the segments of the process.
  var number: UInt64
  var boot: BootID
  var wallMicroseconds: Int64
  var bootMicroseconds: Int64
  /// The segment before this one, if this process wrote it.
  var predecessor: Predecessor?

  struct Predecessor: Equatable, Sendable {
    let number: UInt64
    /// The part that is durable. After a failed write or fdatasync, more bytes may follow: of them, nothing is known, and
    /// nothing was promised.
    let durableBytes: Int
  }

  /// How much is durable of a segment, if this one follows it and says so.
  func durableBytes(of segment: SegmentHeader) -> Int? {
    guard epoch == segment.epoch, writer == segment.writer, predecessor?.number == segment.number else { return nil }
    return predecessor?.durableBytes
  }

  /// Of the wall clock to CLOCK_BOOTTIME.
  var clockOffset: Int64 { wallMicroseconds &- bootMicroseconds }

  enum Fault: Error, Equatable {
    /// The file ends in its header: its writer ended while it made the file.
    case cutOff
    case damaged
    case version(UInt32)
  }
}

extension SegmentHeader {
  init(_ bytes: Span<UInt8>) throws(Fault) {
    guard bytes.count >= Self.byteCount else { throw .cutOff }
    let bytes = bytes.extracting(..<Self.byteCount)
    // A file system can extend a file before the system stops, and never write the bytes.
    guard !bytes.areZero else { throw .cutOff }
    guard bytes.littleEndian(UInt64.self, at: 0) == Self.magic,
      bytes.littleEndian(UInt32.self, at: 12) == Self.checksum(bytes),
      bytes.littleEndian(UInt64.self, at: 24) <= Self.epochMax
    else { throw .damaged }
    let version = bytes.littleEndian(UInt32.self, at: 8)
    guard version == Self.version else { throw .version(version) }
    writer = bytes.littleEndian(UInt64.self, at: 16)
    epoch = bytes.littleEndian(UInt64.self, at: 24)
    number = bytes.littleEndian(UInt64.self, at: 32)
    boot = BootID(
      high: bytes.littleEndian(UInt64.self, at: 40), low: bytes.littleEndian(UInt64.self, at: 48))
    wallMicroseconds = bytes.signed(at: 56)
    bootMicroseconds = bytes.signed(at: 64)
    if bytes.littleEndian(UInt64.self, at: 88) != 0 {
      predecessor = Predecessor(
        number: bytes.littleEndian(UInt64.self, at: 72),
        durableBytes: Int(clamping: bytes.littleEndian(UInt64.self, at: 80)))
    }
  }

  var bytes: [UInt8] {
    var out: [UInt8] = []
    out.append(littleEndian: Self.magic)
    out.append(littleEndian: Self.version)
    out.append(littleEndian: UInt32(0))
    for number in [writer, epoch, number, boot.high, boot.low] { out.append(littleEndian: number) }
    out.append(littleEndian: wallMicroseconds)
    out.append(littleEndian: bootMicroseconds)
    out.append(littleEndian: predecessor?.number ?? 0)
    out.append(littleEndian: UInt64(predecessor?.durableBytes ?? 0))
    out.append(littleEndian: UInt64(predecessor == nil ? 0 : 1))
    out.append(littleEndian: UInt64(0))
    out.set(littleEndian: Self.checksum(out.span), at: 12)
    return out
  }

  private static func checksum(_ header: Span<UInt8>) -> UInt32 {
    var crc = CRC32C()
    crc.update(header.extracting(..<12))
    crc.update(header.extracting(16...))
    return crc.value
  }
}

/// Identifies a run of the system's kernel; zeros if it is not known.
struct BootID: Hashable, Sendable {
  var high: UInt64 = 0
  var low: UInt64 = 0

  /// Whether a time by CLOCK_BOOTTIME means the same in both.
  func isSame(as other: BootID) -> Bool { self == other && self != BootID() }
}

extension BootID {
  /// A UUID as text, as in /proc/sys/kernel/random/boot_id; zeros for any other text.
  init(_ text: [UInt8]) {
    let digits = text.compactMap { hexValue($0) }
    guard digits.count == 32 else { return }
    for digit in digits.prefix(16) { high = high << 4 | UInt64(digit) }
    for digit in digits.suffix(16) { low = low << 4 | UInt64(digit) }
  }
}
