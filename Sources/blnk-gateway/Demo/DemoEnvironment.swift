import Gateway
import Policies
import Reactor
import SandboxCore
import System

/// Everything that the demo runs: two sandbox Cores, a gateway, and the temporary folder with its policies and logs.
final class DemoEnvironment {
  let folder: DemoFolder
  let cores: [SandboxServer]
  let keys: [String]
  let gatewayPort: UInt16
  let adminPort: UInt16
  private let server: Server
  private let reloader: PolicyReloader
  /// Accepts no connections: they stay in its queue and get no response.
  private let silent: Reactor.Listener

  init(_ source: PolicyFolder) throws(CommandFault) {
    keys = [randomKey(), randomKey()]
    do throws(Errno) {
      cores = [
        try SandboxServer(listen: .loopback(port: 0), key: keys[0]),
        try SandboxServer(listen: .loopback(port: 0), key: keys[1]),
      ]
      silent = try Reactor.Listener(.loopback(port: 0))
    } catch {
      throw .failed("the sandbox Cores cannot listen on 127.0.0.1: \(error)")
    }
    folder = try DemoFolder(
      copyOf: source, cores: zip(cores, keys).map { (url: url($0.address.port), key: $1) },
      closedURL: url(freePorts(1).first), silentURL: url(silent.localAddress?.port))
    do throws(CommandFault) {
      let started = try Self.start(folder, source)
      server = started.server
      reloader = started.reloader
    } catch {
      folder.remove()
      throw error
    }
    guard case .ip(_, let gatewayPort)? = server.addresses.first, case .ip(_, let adminPort)? = server.adminAddress
    else {
      preconditionFailure("the demo listens on loopback")
    }
    self.gatewayPort = gatewayPort
    self.adminPort = adminPort
  }

  var gatewayAddress: SocketAddress { .ipv4(address: 0x7f00_0001, port: gatewayPort) }
  var adminAddress: SocketAddress { .ipv4(address: 0x7f00_0001, port: adminPort) }

  /// Reloads the policy folder when it changes, until a signal arrives.
  func serve(until signals: Signals) {
    while true {
      switch signals.wait(
        or: reloader.watch, settleMilliseconds: 200,
        timeoutMilliseconds: reloader.isRetrying ? PolicyReloader.retryMilliseconds : nil)
      {
      case .signal: return
      case .change, .timeout: reload()
      }
    }
  }

  func reload() { reloader.reload(server, onlyIfChanged: true) }

  /// Stops everything and deletes the folder.
  func close() {
    _ = server.drain()
    for core in cores { core.stop() }
    folder.remove()
  }

  /// Starts the gateway on loopback, on the port of gateway.json or else on a free one.
  private static func start(
    _ folder: DemoFolder, _ source: PolicyFolder
  ) throws(CommandFault) -> (server: Server, reloader: PolicyReloader) {
    let copy = PolicyFolder(path: folder.policies, stateFolder: folder.path, environment: source.environment)
    var port = try configuredPort(copy, source)
    // A free port may be taken before the gateway listens on it.
    for attempt in 0..<5 {
      let free = freePorts(2)
      guard free.count == 2 else { break }
      if attempt > 0 || port == 0 { port = free[0] }
      try folder.setPorts(gateway: port, admin: free[1])
      let reloader = try PolicyReloader(copy, logsWarnings: false) { line in Console.log("gateway: \(line)") }
      let (policy, faults) = try reloader.initialPolicy()
      do throws(StartFault) {
        return (try Server(policy, faults: faults) { line in Console.log("gateway: \(line)") }, reloader)
      } catch {
        if attempt == 4 { throw .failed("\(error)") }
      }
    }
    throw .failed("cannot find a free port on 127.0.0.1")
  }

  /// The port of the first listener. Fails if the folder is invalid, and logs why.
  private static func configuredPort(_ copy: PolicyFolder, _ source: PolicyFolder) throws(CommandFault) -> UInt16 {
    let result = copy.load()
    guard let policy = result.policy else {
      for finding in result.findings where finding.severity == .error {
        Console.log(finding.description.replacing(copy.path, with: source.path))
      }
      throw .failed("\(source.path): the policy is invalid; nothing was started")
    }
    return if case .ip(_, let port)? = policy.settings.listeners.first?.address { port } else { 0 }
  }
}

extension Reactor.Listener.Address {
  static func loopback(port: UInt16) -> Self { .tcp(host: "127.0.0.1", port: port) }
}

private func url(_ port: UInt16?) -> String { "http://127.0.0.1:\(port ?? 0)" }

/// Different ports on which nothing listens at the moment.
private func freePorts(_ count: Int) -> [UInt16] {
  let listeners = (0..<count).compactMap { _ in try? Reactor.Listener(.loopback(port: 0)) }
  return listeners.compactMap { $0.localAddress?.port }
}

/// Letters and digits, from 256 random bits.
func randomKey() -> String {
  (0..<4).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
}
