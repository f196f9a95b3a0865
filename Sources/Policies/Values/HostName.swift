/// A host as requests name it: a DNS name in lower case, or an IP address, without a port.
package struct HostName: Hashable, Sendable {
  static let rule =
    "must be a host name or an IP address, without scheme, port, path and wildcard, such as two.gateway.example"

  /// IPv6 without brackets, as RFC 5952 writes it.
  package let text: String

  /// nil for text that breaks the rule. IPv6 may stand in brackets.
  package init?(_ text: String) {
    let isBracketed = text.hasPrefix("[") && text.hasSuffix("]") && text.contains(":")
    if let address = IPAddress(isBracketed ? String(text.dropFirst().dropLast()) : text) {
      self.text = address.description
    } else if isHostName(text[...]) {
      self.text = text.lowercased()
    } else {
      return nil
    }
  }
}
