import HTTP1
import Policies

/// Who is at the other end of a client's connection, as policies, logs and Core see it.
///
/// A value of its own, so that what a proxy in front says of the client can take its place.
struct Peer {
  enum Scheme {
    case http, https

    fileprivate var text: String {
      switch self {
      case .http: "http"
      case .https: "https"
      }
    }
  }

  let address: PeerAddress
  let scheme: Scheme
  /// The address, for logs.
  let text: [UInt8]
  /// `X-Forwarded-For` and `X-Forwarded-Proto`, ready to be written.
  let forwardingLines: [UInt8]

  init(_ address: PeerAddress, scheme: Scheme = .http) {
    self.address = address
    self.scheme = scheme
    text = address.text
    forwardingLines = [UInt8](fields: ["X-Forwarded-For": text, "X-Forwarded-Proto": Array(scheme.text.utf8)])
  }
}
