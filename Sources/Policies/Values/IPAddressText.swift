import Digests

extension IPAddress {
  /// Strict dotted decimal, or RFC 4291 §2.2 text without a zone; nil for anything else.
  package init?(_ text: String) {
    if let ipv4 = parseIPv4(text[...]) {
      self.init(ipv4: ipv4)
      return
    }
    guard let groups = parseIPv6(text) else { return nil }
    let join = { (part: ArraySlice<UInt16>) in part.reduce(UInt64(0)) { word, group in word << 16 | UInt64(group) } }
    self.init(high: join(groups[..<4]), low: join(groups[4...]))
  }
}

/// Four decimal numbers to 255; no leading zeros, which some parsers take for octal.
private func parseIPv4(_ text: Substring) -> UInt32? {
  let parts = text.split(separator: ".", omittingEmptySubsequences: false)
  guard parts.count == 4 else { return nil }
  var value: UInt32 = 0
  for part in parts {
    guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy(isDecimalDigit), let byte = UInt8(part),
      part.utf8.count == 1 || part.utf8.first != UInt8(ascii: "0")
    else { return nil }
    value = value << 8 | UInt32(byte)
  }
  return value
}

private func parseIPv6(_ text: String) -> [UInt16]? {
  guard let gap = text.firstRange(of: "::") else {
    guard let groups = parseGroups(text[...], endsAddress: true), groups.count == 8 else { return nil }
    return groups
  }
  guard let front = parseGroups(text[..<gap.lowerBound], endsAddress: false),
    let back = parseGroups(text[gap.upperBound...], endsAddress: true), front.count + back.count <= 7
  else { return nil }
  return front + [UInt16](repeating: 0, count: 8 - front.count - back.count) + back
}

/// Groups between single colons; the last of an address may be an IPv4 address.
private func parseGroups(_ text: Substring, endsAddress: Bool) -> [UInt16]? {
  guard !text.isEmpty else { return [] }
  var groups: [UInt16] = []
  let parts = text.split(separator: ":", omittingEmptySubsequences: false)
  for (index, part) in parts.enumerated() {
    if endsAddress, index == parts.count - 1, let ipv4 = parseIPv4(part) {
      groups += [UInt16(ipv4 >> 16), UInt16(truncatingIfNeeded: ipv4)]
      continue
    }
    guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy({ byte in hexValue(byte) != nil }),
      let group = UInt16(part, radix: 16)
    else { return nil }
    groups.append(group)
  }
  return groups
}

func isDecimalDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}
