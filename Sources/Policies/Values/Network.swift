/// A block of addresses in CIDR form, `10.0.0.0/8` or `2001:db8::/32`; no IPv4 network contains IPv6, or vice versa.
package struct Network: Hashable, Sendable {
  package static let allIPv4 = Network(address: IPAddress(ipv4: 0), prefixLength: 96, isIPv4: true)
  package static let allIPv6 = Network(address: IPAddress(high: 0, low: 0), prefixLength: 0, isIPv4: false)

  private let address: IPAddress
  /// Of the 128-bit form: an IPv4 length plus 96.
  private let prefixLength: Int
  private let isIPv4: Bool

  private init(address: IPAddress, prefixLength: Int, isIPv4: Bool) {
    self.address = address
    self.prefixLength = prefixLength
    self.isIPv4 = isIPv4
  }

  /// An address with a prefix length, or a single address; nil for other text, and if bits after the prefix are set,
  /// since then the address or the length is a mistake.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
    let isIPv4 = first.utf8.contains(UInt8(ascii: ".")) && !first.utf8.contains(UInt8(ascii: ":"))
    guard isIPv4 == address.isIPv4 else { return nil }
    var prefixLength = 128
    if parts.count == 2 {
      guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy(isDecimalDigit),
        let length = Int(parts[1]), length <= (isIPv4 ? 32 : 128)
      else { return nil }
      prefixLength = isIPv4 ? length + 96 : length
    }
    self.init(address: address, prefixLength: prefixLength, isIPv4: isIPv4)
    guard address == masked(address) else { return nil }
  }

  /// What is wrong with a text that is not a network, and how to correct it.
  package static func fault(of text: String) -> String {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let length = parts.count == 2 ? Int(parts[1]) : 128
    guard let first = parts.first, first.utf8.contains(UInt8(ascii: ":")), let length,
      let address = IPAddress(String(first)), address.isIPv4
    else {
      return "must be a network such as 10.0.0.0/8 or 2001:db8::/32, with all bits after the prefix zero"
    }
    guard (96...128).contains(length) else {
      return "is an IPv4-mapped network; write it as an IPv4 network such as 10.0.0.0/8"
    }
    let network = Network(address: address, prefixLength: length, isIPv4: true)
    let suffix = length == 128 ? "" : "/\(length - 96)"
    return "is an IPv4-mapped network; write \(network.masked(address))\(suffix)"
  }

  package func contains(_ other: IPAddress) -> Bool {
    other.isIPv4 == isIPv4 && masked(other) == address
  }

  package func contains(_ other: Network) -> Bool {
    isIPv4 == other.isIPv4 && prefixLength <= other.prefixLength && masked(other.address) == address
  }

  /// Relies on Swift's `<<`, which gives 0 for a shift by the full width.
  private func masked(_ other: IPAddress) -> IPAddress {
    let highMask = ~UInt64(0) << UInt64(64 - min(prefixLength, 64))
    let lowMask = ~UInt64(0) << UInt64(64 - max(prefixLength - 64, 0))
    return IPAddress(high: other.high & highMask, low: other.low & lowMask)
  }
}
