package import Digests

/// Who makes a request, as far as the connection or a trusted front shows it.
package struct Caller: Equatable, Sendable {
  package let address: PeerAddress
  /// SHA-256 of the caller's TLS certificate in DER form; nil: none, or no trusted front has reported one.
  package let certificate: Digest?

  package init(_ address: PeerAddress, certificate: Digest? = nil) {
    self.address = address
    self.certificate = certificate
  }
}
