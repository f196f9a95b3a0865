import Digests

/// The keys in flight in a process that hands over to a newer one.
package struct InheritedKeys: Equatable, Sendable {
  struct Key: Equatable, Sendable {
    let fingerprint: Digest
    let requestIDHigh: UInt64
    let requestIDLow: UInt64

    func isOf(_ high: UInt64, _ low: UInt64) -> Bool { requestIDHigh == high && requestIDLow == low }
  }

  /// Of the process that hands over.
  let writer: UInt64
  private(set) var keys: [Digest: Key]

  package var count: Int { keys.count }

  init(writer: UInt64, _ keys: [Digest: Key]) {
    self.writer = writer
    self.keys = keys
  }

  /// Drops a key whose outcome is known.
  mutating func settle(_ record: JournalRecord) {
    if keys[record.digest]?.isOf(record.requestIDHigh, record.requestIDLow) == true { keys[record.digest] = nil }
  }
}

extension InheritedKeys.Key {
  init(_ write: KeyedWrite) {
    self.init(
      fingerprint: write.fingerprint, requestIDHigh: write.requestIDHigh, requestIDLow: write.requestIDLow)
  }
}

extension InheritedKeys {
  private static let magic: UInt64 = 0x3152_4556_4f44_4e48  // "HNDOVER1" as bytes.
  private static let headerBytes = 20
  private static let keyBytes = 80

  /// What one process passes to the other.
  package var bytes: [UInt8] {
    var out: [UInt8] = []
    out.append(littleEndian: Self.magic)
    out.append(littleEndian: UInt32(0))
    out.append(littleEndian: writer)
    for (digest, key) in keys {
      out.append(digest)
      out.append(key.fingerprint)
      out.append(littleEndian: key.requestIDHigh)
      out.append(littleEndian: key.requestIDLow)
    }
    out.set(littleEndian: Self.checksum(out.span), at: 8)
    return out
  }

  /// Nil if these bytes are not complete, or not from this format.
  package init?(_ bytes: Span<UInt8>) {
    guard bytes.count >= Self.headerBytes, (bytes.count - Self.headerBytes).isMultiple(of: Self.keyBytes),
      bytes.littleEndian(UInt64.self, at: 0) == Self.magic,
      bytes.littleEndian(UInt32.self, at: 8) == Self.checksum(bytes)
    else { return nil }
    writer = bytes.littleEndian(UInt64.self, at: 12)
    keys = [:]
    for offset in stride(from: Self.headerBytes, to: bytes.count, by: Self.keyBytes) {
      keys[bytes.digest(at: offset)] = Key(
        fingerprint: bytes.digest(at: offset + 32), requestIDHigh: bytes.littleEndian(UInt64.self, at: offset + 64),
        requestIDLow: bytes.littleEndian(UInt64.self, at: offset + 72))
    }
  }

  private static func checksum(_ bytes: Span<UInt8>) -> UInt32 {
    var crc = CRC32C()
    crc.update(bytes.extracting(12...))
    crc.update(bytes.extracting(..<8))
    return crc.value
  }
}
