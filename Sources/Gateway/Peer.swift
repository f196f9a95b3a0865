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
    let (name, rest) = ("X-Forwarded-For: ".utf8, "\r\nX-Forwarded-Proto: \(scheme.text)\r\n".utf8)
    var lines: [UInt8] = []
    // In one allocation, and no larger: an idle connection holds it.
    lines.reserveCapacity(name.count + text.count + rest.count)
    lines += name
    lines += text
    lines += rest
    forwardingLines = lines
  }
}
