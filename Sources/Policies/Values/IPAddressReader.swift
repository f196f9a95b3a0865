import Digests

/// Reads the text of an address byte by byte: strict dotted decimal, or RFC 4291 §2.2 text without a zone.
///
/// A byte is refused as soon as no address begins with the bytes so far.
package struct IPAddressReader {
  /// Which texts are read. `::ffff:1.2.3.4` is IPv6 text, though it names an IPv4 address.
  package enum Family: Sendable {
    case any, ipv4, ipv6
  }

  private static let groupsMax = 8
  /// `::` replaces at least one group.
  private static let groupsBesideGapMax = 7

  private let family: Family
  /// The complete groups so far, the last one lowest, and their number.
  private var value: UInt128 = 0
  private var groupCount = 0
  /// The number of groups before `::`.
  private var gap: Int?
  private var follows = Follows.start
  /// The group or decimal number that is being read.
  private var digitCount = 0
  private var group: UInt16 = 0
  /// The same digits as a decimal number to 255 without leading zeros; nil if they are not one.
  private var octet: UInt8? = 0
  /// The complete numbers of the dotted part, and how many dots it has.
  private var dotted: UInt32 = 0
  private var dotCount = 0

  /// What precedes the next byte.
  private enum Follows {
    case start, leadingColon, colon, digit, dot
  }

  package init(_ family: Family = .any) {
    self.family = family
  }

  /// Takes the next byte; false if it cannot follow. After that, the reader must not be used again.
  package mutating func take(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: ":"): takeColon()
    case UInt8(ascii: "."): takeDot()
    default: hexValue(byte).map { takeDigit($0) } ?? false
    }
  }

  private mutating func takeDigit(_ digit: UInt8) -> Bool {
    guard follows != .leadingColon else { return false }
    if digitCount == 0 {
      // In the dotted part, the groups were counted at its first dot.
      guard dotCount > 0 || groupCount < groupLimit else { return false }
      (group, octet) = (0, 0)
    }
    octet = digitCount > 0 && octet == 0 ? nil : octet.flatMap { Self.appending(digit, to: $0) }
    guard octet != nil || family != .ipv4 && dotCount == 0 else { return false }
    digitCount += 1
    group = group << 4 | UInt16(digit)
    follows = .digit
    return digitCount <= 4
  }

  private static func appending(_ digit: UInt8, to octet: UInt8) -> UInt8? {
    digit < 10 ? UInt8(exactly: Int(octet) * 10 + Int(digit)) : nil
  }

  private mutating func takeColon() -> Bool {
    guard family != .ipv4, dotCount == 0 else { return false }
    switch follows {
    case .start:
      follows = .leadingColon
      return true
    case .leadingColon, .colon:
      guard gap == nil else { return false }
      gap = groupCount
      follows = .colon
      return true
    case .digit:
      endGroup()
      follows = .colon
      // A group or a second colon follows.
      return groupCount < groupLimit
    case .dot: return false
    }
  }

  private mutating func takeDot() -> Bool {
    guard follows == .digit, let octet, dotCount < 3 else { return false }
    if dotCount == 0 { guard isRoomForDotted else { return false } }
    dotted = dotted << 8 | UInt32(octet)
    dotCount += 1
    digitCount = 0
    follows = .dot
    return true
  }

  /// Whether the dotted part may begin here: alone, or as the last two groups.
  private var isRoomForDotted: Bool {
    if isAlone { return family != .ipv6 }
    return gap == nil ? groupCount == Self.groupsMax - 2 : groupCount <= Self.groupsBesideGapMax - 2
  }

  private var isAlone: Bool { groupCount == 0 && gap == nil }

  private var groupLimit: Int { gap == nil ? Self.groupsMax : Self.groupsBesideGapMax }

  private mutating func endGroup() {
    value = value << 16 | UInt128(group)
    groupCount += 1
    digitCount = 0
  }

  /// The address, if the bytes so far are one.
  package var address: IPAddress? {
    var whole = self
    return whole.finish()
  }

  private mutating func finish() -> IPAddress? {
    switch follows {
    case .start, .leadingColon, .dot: return nil
    case .colon:
      // Only `::` may be last.
      guard gap == groupCount else { return nil }
    case .digit where dotCount > 0:
      guard dotCount == 3, let octet else { return nil }
      dotted = dotted << 8 | UInt32(octet)
      if isAlone { return IPAddress(ipv4: dotted) }
      value = value << 32 | UInt128(dotted)
      groupCount += 2
    case .digit: endGroup()
    }
    guard let gap else { return groupCount == Self.groupsMax ? IPAddress(value) : nil }
    let backBits = 16 * (groupCount - gap)
    let front = value >> UInt128(backBits)
    let back = value & ~(.max << UInt128(backBits))
    return IPAddress(front << UInt128(16 * (Self.groupsMax - gap)) | back)
  }
}

extension IPAddress {
  fileprivate init(_ value: UInt128) {
    self.init(high: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
  }
}
