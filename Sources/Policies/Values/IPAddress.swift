/// An IPv4 or IPv6 address; an IPv4-mapped IPv6 address equals its IPv4 address.
package struct IPAddress: Hashable, Sendable {
  /// The first and the last 8 of the 16 bytes, big-endian; IPv4 as `::ffff:a.b.c.d`.
  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// From the four bytes as one number, 127.0.0.1 being 0x7f00_0001.
  package init(ipv4: UInt32) {
    self.init(high: 0, low: 0xffff << 32 | UInt64(ipv4))
  }

  package var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

  /// The four bytes as one number; meaningless for IPv6.
  package var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

  /// 127.0.0.0/8 or ::1: reachable from this machine only.
  var isLoopback: Bool { isIPv4 ? ipv4 >> 24 == 127 : high == 0 && low == 1 }

  /// One of the eight 16-bit groups of an IPv6 address, the first one being 0.
  private func group(_ index: Int) -> UInt16 {
    UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index & 3)))
  }
}

/// The address of a connection's peer, or of the client that a trusted front states.
package enum PeerAddress: Hashable, Sendable {
  case ip(IPAddress)
  case unix
  /// A front names no address that can be believed; it is in no network.
  case unknown

  /// The address that limits count.
  package var host: PeerAddress {
    guard case .ip(let address) = self else { return self }
    return .ip(address.hostAddress)
  }
}

extension IPAddress {
  /// The address that counts as one host: for IPv6 its /64, which a single host gets (RFC 7421 §1).
  package var hostAddress: IPAddress { isIPv4 ? self : IPAddress(high: high, low: 0) }
}

extension IPAddress: CustomStringConvertible {
  /// Dotted decimal, or the canonical form of RFC 5952 §4: lower case, the longest run of zero groups as `::`.
  package var description: String {
    var text: [UInt8] = []
    write(to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  /// Appends the description without making a String: called for every connection.
  package func write(to text: inout [UInt8]) {
    guard isIPv4 else { return writeIPv6(to: &text) }
    text.reserveCapacity(text.count + Self.ipv4TextBytesMax)
    for shift: UInt32 in [24, 16, 8, 0] {
      if shift < 24 { text.append(UInt8(ascii: ".")) }
      let byte = UInt8(truncatingIfNeeded: ipv4 >> shift)
      if byte >= 100 { text.append(UInt8(ascii: "0") + byte / 100) }
      if byte >= 10 { text.append(UInt8(ascii: "0") + byte / 10 % 10) }
      text.append(UInt8(ascii: "0") + byte % 10)
    }
  }

  private static let ipv4TextBytesMax = 15

  private static let ipv6TextBytesMax = 39

  private func writeIPv6(to text: inout [UInt8]) {
    text.reserveCapacity(text.count + Self.ipv6TextBytesMax)
    let gap = longestZeroRun
    for index in 0..<8 {
      // Each group but the first follows a colon. The gap is one colon, and two if nothing follows it.
      if gap.contains(index) {
        if index == gap.lowerBound || index == 7 { text.append(UInt8(ascii: ":")) }
        continue
      }
      if index > 0 { text.append(UInt8(ascii: ":")) }
      Self.append(group(index), to: &text)
    }
  }

  /// Lower-case hexadecimal without leading zeros.
  private static func append(_ group: UInt16, to text: inout [UInt8]) {
    var shift = max(0, 12 - group.leadingZeroBitCount / 4 * 4)
    while shift >= 0 {
      let digit = UInt8(truncatingIfNeeded: group >> UInt16(shift)) & 0xf
      text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit)
      shift -= 4
    }
  }

  /// The groups that `::` replaces, by RFC 5952 §4.2: the longest run of zeros, the first of equals, and not a single one.
  private var longestZeroRun: Range<Int> {
    var longest = 0..<0
    var start = 0
    for index in 0..<8 {
      if group(index) != 0 { start = index + 1 }
      if index + 1 - start > longest.count { longest = start..<index + 1 }
    }
    return longest.count > 1 ? longest : 0..<0
  }
}
