import Digests
import HTTP1
import Policies
import Reactor

/// Who makes the requests of a downstream connection, as policies, logs and Core see it: the connection's peer or, if that
/// is a trusted front, the client that it reports.
struct Peer {
  /// The other end of the connection.
  let connected: PeerAddress
  private(set) var caller: Caller
  /// The caller's address, for logs.
  private(set) var text: [UInt8] = []
  /// The front's address, for logs; empty: no front has reported the caller.
  private(set) var via: [UInt8] = []
  /// The `X-Forwarded-For` and `X-Forwarded-Proto` lines, formatted once.
  private(set) var forwardingLines: [UInt8] = []
  private var isTLS = false

  init(_ address: PeerAddress) {
    connected = address
    caller = Caller(address)
    format()
  }

  /// Takes over what a front reports. For the same client again, nothing is formatted.
  mutating func take(_ address: PeerAddress, isTLS: Bool, certificate: Digest? = nil) {
    let isSame = address == caller.address && isTLS == self.isTLS && !via.isEmpty
    caller = Caller(address, certificate: certificate)
    guard !isSame else { return }
    self.isTLS = isTLS
    if via.isEmpty { connected.write(to: &via) }
    format()
  }

  /// Forgets what a front has reported, because it was about another request.
  mutating func forgetReport() {
    if !via.isEmpty { self = Peer(connected) }
  }

  /// Formats the texts. Reuses their storage, since a front's connection changes its client with each request.
  private mutating func format() {
    text.removeAll(keepingCapacity: true)
    caller.address.write(to: &text)
    forwardingLines.removeAll(keepingCapacity: true)
    forwardingLines.append(field: "X-Forwarded-For", text)
    forwardingLines.append(field: "X-Forwarded-Proto", (isTLS ? "https" : "http").utf8)
  }
}

extension PeerAddress {
  init(_ address: SocketAddress?) {
    switch address {
    case .ipv4(let address, _): self = .ip(IPAddress(ipv4: address))
    case .ipv6(let high, let low, _): self = .ip(IPAddress(high: high, low: low))
    // A peer without an address is in no network.
    case .unix, nil: self = .unix
    }
  }

  /// The form in logs and in `X-Forwarded-For`: the address, `unix`, or `unknown`.
  var text: [UInt8] {
    var text: [UInt8] = []
    write(to: &text)
    return text
  }

  func write(to text: inout [UInt8]) {
    switch self {
    case .ip(let address): address.write(to: &text)
    case .unix: text += "unix".utf8
    case .unknown: text += "unknown".utf8
    }
  }
}
