import Policies
import Reactor
import System

extension ListenAddress {
  func forReactor(_ access: SocketAccess = SocketAccess()) -> Reactor.Listener.Address {
    switch self {
    case .ip(let address, let port): .tcp(host: address.description, port: port)
    case .unix(let path): .unix(path: path, access: access)
    }
  }

  /// The bound address: as configured, with the port that the system chose for port 0.
  init(_ bound: SocketAddress?, asked: ListenAddress) {
    guard case .ip(let address, _) = asked, let port = bound?.port else {
      self = asked
      return
    }
    self = .ip(address, port: port)
  }
}

extension Policies.Listener {
  /// The permissions of a Unix socket, with the number of the group.
  var socketAccess: SocketAccess {
    get throws(StartFault) {
      switch group {
      case nil: return SocketAccess(mode: mode)
      case .number(let number): return SocketAccess(mode: mode, group: number)
      case .name(let name):
        guard let number = SocketAccess.groupID(named: name) else {
          throw StartFault(
            description: "gateway.json: listen: \(address): \"group\": there is no group \"\(name)\" on this machine; "
              + "create it, or use another name or a number")
        }
        return SocketAccess(mode: mode, group: number)
      }
    }
  }

  /// What to do about an error of binding, for the end of its message; empty if unknown.
  func remedy(for error: Errno) -> String {
    if error == .addressInUse {
      return "; stop the process that listens there, or choose another address with --listen"
    }
    guard error == Errno.notPermitted, let group else { return "" }
    let name =
      switch group {
      case .name(let name): "\"\(name)\""
      case .number(let number): "\(number)"
      }
    return "; the gateway's user must be a member of \"group\" \(name) in gateway.json"
  }
}
