import HTTP1
import Policies

/// Version 2 (§2.2): 16 fixed bytes, then a block of addresses and TLVs of the length that they announce.
struct BinaryHeader: Sendable {
  static let fixedBytes = 16
  /// The protocol allows 65,535; senders keep the whole header below 536 (§2), unless a TLV is long.
  static let blockBytesMax = 2048

  private static let signature = ShortText("\r\n\r\n\0\r\nQUIT\n")

  private var fields = TypedFields()

  mutating func read(_ bytes: Span<UInt8>) throws(ProxyHeaderFault) -> ProxyHeader? {
    guard bytes.mayHave(Self.signature, at: 0) else { throw .missing }
    guard bytes.count > 12 else { return nil }
    let isLocal = try Self.isLocal(bytes[12])
    guard bytes.count > 13 else { return nil }
    // LOCAL: the family is ignored, too.
    let addresses = isLocal ? .unspecified : try Addresses(bytes[13])
    guard bytes.count >= Self.fixedBytes else { return nil }
    let length = Int(bytes.bigEndian(at: 14, count: 2))
    guard length <= Self.blockBytesMax else { throw .lengthTooLong }
    guard length >= addresses.byteCount else { throw .addressesTruncated }
    return try read(bytes, addresses, end: Self.fixedBytes + length)
  }

  private mutating func read(
    _ bytes: Span<UInt8>, _ addresses: Addresses, end: Int
  ) throws(ProxyHeaderFault) -> ProxyHeader? {
    if addresses == .unspecified {
      // Where TLVs would begin is unknown, so the whole block is skipped.
      return bytes.count < end ? nil : ProxyHeader(byteCount: end, client: .connection, isTLS: false)
    }
    let fieldsStart = Self.fixedBytes + addresses.byteCount
    guard try fields.read(bytes, in: fieldsStart..<end) else { return nil }
    return ProxyHeader(byteCount: end, client: addresses.client(bytes, at: Self.fixedBytes), isTLS: fields.isTLS)
  }

  /// Reads the byte of version and command.
  private static func isLocal(_ byte: UInt8) throws(ProxyHeaderFault) -> Bool {
    guard byte >> 4 == 2 else { throw .version }
    switch byte & 0xf {
    case 0: return true
    case 1: return false
    default: throw .command
    }
  }
}

/// The addresses at the start of the block: source and destination, then their ports.
private enum Addresses {
  case unspecified, ipv4, ipv6, unix

  /// Reads the byte of address family and protocol.
  init(_ byte: UInt8) throws(ProxyHeaderFault) {
    switch byte {
    case 0x00: self = .unspecified
    case 0x11: self = .ipv4
    case 0x21: self = .ipv6
    case 0x31: self = .unix
    // This listener takes streams, so the header cannot be about a datagram, whose source may be forged.
    case 0x12, 0x22, 0x32: throw .datagram
    default: throw .family
    }
  }

  var byteCount: Int {
    switch self {
    case .unspecified: 0
    case .ipv4: 2 * 4 + 2 * 2
    case .ipv6: 2 * 16 + 2 * 2
    case .unix: 2 * 108
    }
  }

  /// The source.
  func client(_ bytes: Span<UInt8>, at start: Int) -> ProxyHeader.Client {
    switch self {
    case .unspecified: .connection
    case .ipv4:
      .address(
        IPAddress(ipv4: UInt32(bytes.bigEndian(at: start, count: 4))), port: bytes.port(at: start + 8))
    case .ipv6:
      .address(
        IPAddress(high: bytes.bigEndian(at: start, count: 8), low: bytes.bigEndian(at: start + 8, count: 8)),
        port: bytes.port(at: start + 32))
    case .unix: .unix
    }
  }
}

extension Span<UInt8> {
  /// The number in network byte order in the `count` bytes from `start`, at most 8.
  func bigEndian(at start: Int, count: Int) -> UInt64 {
    (start..<start + count).reduce(0) { number, index in number << 8 | UInt64(self[index]) }
  }

  fileprivate func port(at start: Int) -> UInt16 { UInt16(bigEndian(at: start, count: 2)) }
}
