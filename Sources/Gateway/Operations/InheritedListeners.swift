import Policies
import Reactor
import System

/// The inherited sockets as listeners, each for the address in the settings that it is bound to.
struct InheritedListeners {
  private(set) var proxy: [ListenAddress: Reactor.Listener] = [:]
  private(set) var admin: Reactor.Listener?

  /// The names of sockets that one process of the gateway passes to the next.
  static let ownProxy = "own-proxy"
  static let ownAdmin = "own-admin"

  /// What a socket is for, according to its name.
  private enum Purpose {
    case proxy, admin

    /// systemd names a socket after its unit unless FileDescriptorName= is set (systemd.socket(5)).
    init?(_ name: String) {
      switch name {
      case "proxy", ServiceEnvironment.unknownName: self = .proxy
      case "admin": self = .admin
      case InheritedListeners.ownProxy: self = .proxy
      case InheritedListeners.ownAdmin: self = .admin
      default:
        guard name.hasSuffix(".socket") else { return nil }
        self = .proxy
      }
    }
  }

  /// - Throws: a socket that is not a listener, or that is not bound to an address of the settings: requests to it would
  ///   never be answered.
  init(_ sockets: InheritedSockets, _ settings: GatewaySettings) throws(StartFault) {
    for socket in sockets.all {
      guard let purpose = Purpose(socket.name) else { throw socket.unknownName }
      let isOwn = socket.name == Self.ownProxy || socket.name == Self.ownAdmin
      let listener = try socket.listener(isOwn: isOwn)
      guard let address = ListenAddress(of: listener) else { throw socket.unsupportedAddress(of: listener) }
      // The settings have changed since the older process started: it is closed with that process.
      if isOwn, !settings.mentions(address, isAdmin: purpose == .admin) { continue }
      switch purpose {
      case .proxy:
        guard settings.listeners.contains(where: { $0.address == address }) else {
          throw socket.unexpected(address, settings)
        }
        guard proxy.updateValue(listener, forKey: address) == nil else { throw socket.repeated(address) }
      case .admin:
        guard settings.admin?.address == address else { throw socket.unexpectedAdmin(address, settings) }
        guard admin == nil else { throw socket.repeated(address) }
        admin = listener
      }
    }
  }

  /// Reports which sockets are used, and settings of Unix sockets that have no effect on them.
  func report(_ settings: GatewaySettings, to report: (String) -> Void) {
    for setting in settings.listeners where proxy[setting.address]?.isOwn == false {
      report("using the socket for \(setting.address) that the service manager passed")
      guard setting.mode != nil || setting.group != nil else { continue }
      report(
        "gateway.json: listen: \(setting.address): \"mode\" and \"group\" have no effect on a socket that the service "
          + "manager passed; set SocketMode= and SocketGroup= in its unit")
    }
    if admin?.isOwn == false, let settings = settings.admin {
      report("using the socket for \(settings.address) that the service manager passed, for \"admin\"")
    }
  }
}

/// What is wrong with a socket, with its descriptor, its name and the remedy.
extension InheritedSocket {
  fileprivate func listener(isOwn: Bool) throws(StartFault) -> Reactor.Listener {
    do throws(InheritanceFault) {
      return try Reactor.Listener(inheriting: take(), isOwn: isOwn)
    } catch {
      switch error {
      case .notSocket: throw fault("is not a socket; pass sockets only")
      case .notStream: throw fault("is not a stream socket; use ListenStream= in the socket unit")
      case .notListening: throw fault("does not listen; use ListenStream= and Accept=no in the socket unit")
      case .failed(let errno): throw fault("cannot be used: \(errno)")
      }
    }
  }

  fileprivate var unknownName: StartFault {
    fault(
      "has a name that the gateway does not know; set FileDescriptorName=proxy in the socket unit for an address of "
        + "\"listen\", or FileDescriptorName=admin for that of \"admin\"")
  }

  fileprivate func unsupportedAddress(of listener: Reactor.Listener) -> StartFault {
    let address = listener.localPath.map { path in path.isEmpty ? "has no address" : "listens on \(path)" }
    return fault(
      "\(address ?? "is neither an IP nor a Unix socket"); use an IP address with a port, or the path of a file, in "
        + "ListenStream= of the socket unit")
  }

  fileprivate func unexpected(_ address: ListenAddress, _ settings: GatewaySettings) -> StartFault {
    guard settings.admin?.address != address else {
      return fault("listens on \(address), the address of \"admin\"; set FileDescriptorName=admin in its socket unit")
    }
    let known = settings.listeners.map { "\($0.address)" }.joined(separator: ", ")
    return fault(
      "listens on \(address), which is not an address of \"listen\" (\(known)); change \"listen\" in gateway.json or --listen, or "
        + "ListenStream= in the socket unit, so that both are equal")
  }

  fileprivate func unexpectedAdmin(_ address: ListenAddress, _ settings: GatewaySettings) -> StartFault {
    guard let known = settings.admin?.address else {
      return fault("listens on \(address), but \"admin\" is null in gateway.json; set it to this address")
    }
    return fault(
      "listens on \(address), which is not the address of \"admin\" (\(known)); change \"admin\" in gateway.json or --admin, or "
        + "ListenStream= in the socket unit, so that both are equal")
  }

  fileprivate func repeated(_ address: ListenAddress) -> StartFault {
    fault("is the second socket that listens on \(address); pass one for each address")
  }

  private func fault(_ message: String) -> StartFault {
    StartFault(description: "the passed descriptor \(number) (name \"\(name)\") \(message)")
  }
}

extension GatewaySettings {
  fileprivate func mentions(_ address: ListenAddress, isAdmin: Bool) -> Bool {
    isAdmin ? admin?.address == address : listeners.contains { $0.address == address }
  }
}

extension ListenAddress {
  /// The address that a listener is bound to; nil for an abstract Unix socket, and one of another family.
  init?(of listener: Reactor.Listener) {
    switch listener.localAddress {
    case .ipv4(let address, let port): self = .ip(IPAddress(ipv4: address), port: port)
    case .ipv6(let high, let low, let port): self = .ip(IPAddress(high: high, low: low), port: port)
    case .unix:
      guard let path = listener.localPath, path.hasPrefix("/") else { return nil }
      self = .unix(path: path)
    case nil: return nil
    }
  }
}
