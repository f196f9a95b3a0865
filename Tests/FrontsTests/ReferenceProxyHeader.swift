import Glibc
import Policies

@testable import Fronts

/// A simple reader of whole PROXY protocol headers, the reference for the incremental parser. It gives no reasons.
enum ReferenceProxyHeader {
  /// The header at the start of `bytes`; nil if it is invalid or incomplete.
  static func read(_ bytes: [UInt8]) -> ProxyHeader? {
    bytes.first == UInt8(ascii: "P") ? line(bytes) : block(bytes)
  }

  private static func line(_ bytes: [UInt8]) -> ProxyHeader? {
    let text = String(String.UnicodeScalarView(bytes.prefix(107).map { Unicode.Scalar($0) }))
    guard text.hasPrefix("PROXY "), let end = text.unicodeScalars.firstRange(of: "\r\n".unicodeScalars) else {
      return nil
    }
    let line = String(text.unicodeScalars[..<end.lowerBound])
    let count = line.unicodeScalars.count + 2
    if line.unicodeScalars.starts(with: "PROXY UNKNOWN".unicodeScalars) {
      return ProxyHeader(byteCount: count, client: .connection, isTLS: false)
    }
    let parts = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 6, let family = ["TCP4": AF_INET, "TCP6": AF_INET6][parts[1]],
      let source = referenceAddress(parts[2], family), referenceAddress(parts[3], family) != nil,
      let port = referencePort(parts[4]), referencePort(parts[5]) != nil
    else { return nil }
    return ProxyHeader(byteCount: count, client: .address(source, port: port), isTLS: false)
  }

  private static func block(_ bytes: [UInt8]) -> ProxyHeader? {
    guard bytes.count >= 16, Array(bytes[..<12]) == Array("\r\n\r\n\0\r\nQUIT\n".utf8) else { return nil }
    let end = 16 + number(bytes[14..<16])
    guard end <= 16 + 2048, bytes.count >= end else { return nil }
    let connection = ProxyHeader(byteCount: end, client: .connection, isTLS: false)
    let sizes: [UInt8: Int] = [0x11: 12, 0x21: 36, 0x31: 216]
    switch (bytes[12], bytes[13]) {
    case (0x20, _), (0x21, 0x00): return connection
    case (0x21, let family):
      guard let size = sizes[family], end >= 16 + size, let fields = fields(bytes[16 + size..<end]) else { return nil }
      let checksums = fields.filter { $0.type == 3 }
      let tls = fields.filter { $0.type == 0x20 }
      guard checksums.count <= 1, tls.count <= 1, checksums.allSatisfy({ isChecksum($0.value, of: bytes[..<end]) }),
        tls.allSatisfy({ $0.value.count >= 5 && self.fields($0.value.dropFirst(5)) != nil })
      else { return nil }
      let isTLS = tls.contains { ($0.value.first ?? 0) % 2 == 1 }
      return ProxyHeader(byteCount: end, client: client(bytes, family), isTLS: isTLS)
    default: return nil
    }
  }

  private static func client(_ bytes: [UInt8], _ family: UInt8) -> ProxyHeader.Client {
    switch family {
    case 0x11: .address(IPAddress(ipv4: UInt32(number(bytes[16..<20]))), port: UInt16(number(bytes[24..<26])))
    case 0x21:
      .address(
        IPAddress(
          high: UInt64(number(bytes[16..<20])) << 32 | UInt64(number(bytes[20..<24])),
          low: UInt64(number(bytes[24..<28])) << 32 | UInt64(number(bytes[28..<32]))),
        port: UInt16(number(bytes[48..<50])))
    default: .unix
    }
  }

  /// The TLVs that fill `bytes` exactly.
  private static func fields(_ bytes: ArraySlice<UInt8>) -> [(type: UInt8, value: ArraySlice<UInt8>)]? {
    guard let type = bytes.first else { return [] }
    guard bytes.count >= 3 else { return nil }
    let value = bytes.dropFirst(3).prefix(number(bytes.dropFirst().prefix(2)))
    guard value.count == number(bytes.dropFirst().prefix(2)) else { return nil }
    return fields(bytes[value.endIndex...]).map { [(type, value)] + $0 }
  }

  private static func isChecksum(_ value: ArraySlice<UInt8>, of header: ArraySlice<UInt8>) -> Bool {
    guard value.count == 4 else { return false }
    var zeroed = Array(header)
    zeroed.replaceSubrange(value.indices, with: [0, 0, 0, 0])
    return number(value) == Int(checksum(zeroed))
  }

  /// CRC32C as a division by the polynomial as published, bit by bit, each byte's lowest bit first.
  static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var remainder = UInt32.max
    for byte in bytes {
      for bit in [0, 1, 2, 3, 4, 5, 6, 7] as [UInt32] {
        let isOdd = remainder >> 31 != UInt32(byte) >> bit & 1
        remainder = remainder << 1 ^ (isOdd ? 0x1edc_6f41 : 0)
      }
    }
    var reversed: UInt32 = 0
    for bit: UInt32 in 0..<32 { reversed |= (remainder >> bit & 1) << (31 - bit) }
    return ~reversed
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }
}

/// The address that glibc reads, of this family only.
func referenceAddress(_ text: String, _ family: Int32) -> IPAddress? {
  guard !text.unicodeScalars.contains("\0") else { return nil }
  var words = (UInt64(0), UInt64(0))
  guard unsafe inet_pton(family, text, &words) == 1 else { return nil }
  if family == AF_INET { return IPAddress(ipv4: UInt32(words.0.bigEndian >> 32)) }
  return IPAddress(high: words.0.bigEndian, low: words.1.bigEndian)
}

func referencePort(_ text: String) -> UInt16? {
  UInt16(text).flatMap { port in String(port) == text ? port : nil }
}
