/// A host as in a request's `Host`, without a port: a DNS name in lower case, or an IP address.
package struct HostName: Hashable, Sendable {
  static let rule =
    "must be a host name or an IP address without scheme, port, path or wildcard, such as two.gateway.example"

  /// IPv6 without brackets, as RFC 5952 writes it.
  package let text: String

  /// nil for text that violates `rule`. IPv6 may be in brackets.
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
