import Digests

/// The TLVs after the addresses of a version 2 header: a type, a length in 2 bytes, and a value of that length.
///
/// They must fill the block exactly. Only CRC32C (§2.2.3) and SSL (§2.2.6) are read, and neither may be repeated.
struct TypedFields: Sendable {
  private static let headerBytes = 3
  private static let checksumType: UInt8 = 0x03
  private static let checksumBytes = 4
  private static let tlsType: UInt8 = 0x20
  /// The byte of flags and the 4 bytes of the verification's result, after which TLVs follow.
  private static let tlsBytesMin = 5
  private static let tlsFlag: UInt8 = 0x01

  private(set) var isTLS = false
  /// The start of the next TLV; 0 before the first.
  private var position = 0
  private var checksum: Range<Int>?
  private var hasTLS = false
  /// The end of the SSL TLV while the TLVs within it are read.
  private var tlsEnd: Int?

  /// Resumes reading and returns whether all of `block` was read.
  mutating func read(_ bytes: Span<UInt8>, in block: Range<Int>) throws(ProxyHeaderFault) -> Bool {
    position = max(position, block.lowerBound)
    while position < block.upperBound {
      guard try readField(bytes, end: block.upperBound) else { return false }
    }
    guard bytes.count >= block.upperBound else { return false }
    try verifyChecksum(bytes, end: block.upperBound)
    return true
  }

  /// Reads the TLV at `position` as far as it matters, and returns whether that was there.
  private mutating func readField(_ bytes: Span<UInt8>, end: Int) throws(ProxyHeaderFault) -> Bool {
    if position == tlsEnd { tlsEnd = nil }
    let limit = tlsEnd ?? end
    let truncated = tlsEnd == nil ? ProxyHeaderFault.fieldTruncated : .tlsFieldTruncated
    let start = position + Self.headerBytes
    guard start <= limit else { throw truncated }
    guard bytes.count >= start else { return false }
    let value = start..<start + Int(bytes.bigEndian(at: position + 1, count: 2))
    guard value.upperBound <= limit else { throw truncated }
    switch bytes[position] {
    case Self.checksumType where tlsEnd == nil: try takeChecksum(value)
    case Self.tlsType where tlsEnd == nil: return try takeTLS(bytes, value)
    default: break
    }
    position = value.upperBound
    return true
  }

  private mutating func takeChecksum(_ value: Range<Int>) throws(ProxyHeaderFault) {
    guard value.count == Self.checksumBytes else { throw .checksumLength }
    guard checksum == nil else { throw .checksumRepeated }
    checksum = value
  }

  /// Reads the flags and continues with the TLVs within the value.
  private mutating func takeTLS(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(ProxyHeaderFault) -> Bool {
    guard value.count >= Self.tlsBytesMin else { throw .tlsTooShort }
    guard !hasTLS else { throw .tlsRepeated }
    guard bytes.count > value.lowerBound else { return false }
    isTLS = bytes[value.lowerBound] & Self.tlsFlag != 0
    hasTLS = true
    tlsEnd = value.upperBound
    position = value.lowerBound + Self.tlsBytesMin
    return true
  }

  /// The checksum covers the header from its first byte, with the checksum's own bytes as zeros.
  private func verifyChecksum(_ bytes: Span<UInt8>, end: Int) throws(ProxyHeaderFault) {
    guard let checksum else { return }
    var crc = CRC32C()
    for index in 0..<end { crc.update(checksum.contains(index) ? 0 : bytes[index]) }
    guard UInt64(crc.value) == bytes.bigEndian(at: checksum.lowerBound, count: checksum.count) else {
      throw .checksumMismatch
    }
  }
}
