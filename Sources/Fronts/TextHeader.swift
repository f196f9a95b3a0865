import HTTP1
import Policies

/// Version 1 (§2.1): `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`, one line that ends with CRLF.
struct TextHeader {
  /// With the CRLF; only lines with UNKNOWN or with dotted IPv6 addresses can be longer.
  static let bytesMax = 107

  private static let signature = ShortText("PROXY ")
  private static let unknown = ShortText("UNKNOWN")
  private static let tcp4 = ShortText("TCP4 ")
  private static let tcp6 = ShortText("TCP6 ")

  /// The next byte to read.
  private var index: Int

  /// Reads from the start of the line at each call, which its length allows.
  static func read(_ bytes: Span<UInt8>) throws(ProxyHeaderFault) -> ProxyHeader? {
    guard bytes.mayHave(signature, at: 0) else { throw .missing }
    let start = signature.count
    guard bytes.count > start else { return nil }
    if bytes.mayHave(unknown, at: start) { return try readUnknown(bytes, from: start + unknown.count) }
    let isIPv4 = bytes.mayHave(tcp4, at: start)
    guard isIPv4 || bytes.mayHave(tcp6, at: start) else { throw .lineProtocol }
    var line = TextHeader(index: start + tcp4.count)
    return try line.read(bytes, isIPv4 ? .ipv4 : .ipv6)
  }

  /// The receiver ignores everything from UNKNOWN to CRLF.
  private static func readUnknown(_ bytes: Span<UInt8>, from start: Int) throws(ProxyHeaderFault) -> ProxyHeader? {
    var line = TextHeader(index: start)
    while line.index < bytes.count {
      let byte = bytes[line.index]
      try line.advance(past: byte)
      guard byte == .cr, line.index < bytes.count, bytes[line.index] == .lf else { continue }
      return ProxyHeader(byteCount: line.index + 1, client: .connection, isTLS: false)
    }
    return nil
  }

  private mutating func read(
    _ bytes: Span<UInt8>, _ family: IPAddressReader.Family
  ) throws(ProxyHeaderFault) -> ProxyHeader? {
    guard let source = try readAddress(bytes, family, or: .lineSource),
      try readAddress(bytes, family, or: .lineDestination) != nil,
      let port = try readPort(bytes, until: .space, or: .lineSourcePort),
      try readPort(bytes, until: .cr, or: .lineDestinationPort) != nil,
      index < bytes.count
    else { return nil }
    guard bytes[index] == .lf else { throw .lineEnd }
    return ProxyHeader(byteCount: index + 1, client: .address(source, port: port), isTLS: false)
  }

  /// Reads an address and the space after it; nil if more bytes are needed.
  private mutating func readAddress(
    _ bytes: Span<UInt8>, _ family: IPAddressReader.Family, or fault: ProxyHeaderFault
  ) throws(ProxyHeaderFault) -> IPAddress? {
    var reader = IPAddressReader(family)
    while index < bytes.count {
      let byte = bytes[index]
      try advance(past: byte)
      if byte == .space {
        guard let address = reader.address else { throw fault }
        return address
      }
      guard reader.take(byte) else { throw fault }
    }
    return nil
  }

  /// Reads a port and the byte after it; nil if more bytes are needed.
  private mutating func readPort(
    _ bytes: Span<UInt8>, until end: UInt8, or fault: ProxyHeaderFault
  ) throws(ProxyHeaderFault) -> UInt16? {
    var reader = PortReader()
    while index < bytes.count {
      let byte = bytes[index]
      try advance(past: byte)
      if byte == end {
        guard let port = reader.port else { throw fault }
        return port
      }
      guard reader.take(byte) else { throw fault }
    }
    return nil
  }

  /// Moves past a byte, after which there must be room for what is left of CRLF.
  private mutating func advance(past byte: UInt8) throws(ProxyHeaderFault) {
    guard index < Self.bytesMax - (byte == .cr ? 1 : 2) else { throw .lineTooLong }
    index += 1
  }
}

extension UInt8 {
  fileprivate static let space = UInt8(ascii: " ")
  fileprivate static let cr = UInt8(ascii: "\r")
  fileprivate static let lf = UInt8(ascii: "\n")
}
