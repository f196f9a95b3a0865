import Gateway
import Policies
import Reactor
import SandboxCore
import System

/// All that the demo runs: two stand-in Cores, the gateway before them, and a folder that nobody keeps.
final class DemoStage {
  let folder: DemoFolder
  let cores: [SandboxServer]
  let keys: [String]
  let gatewayPort: UInt16
  private let server: Server
  /// Connections wait in its queue, and nobody ever answers them.
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
      throw .failed("the stand-in Cores cannot listen on 127.0.0.1: \(error)")
    }
    folder = try DemoFolder(
      copyOf: source, cores: zip(cores, keys).map { (url: url($0.address.port), key: $1) },
      closedURL: url(closedPort()), silentURL: url(silent.localAddress?.port))
    do throws(CommandFault) {
      server = try Self.start(try Self.policy(folder, source))
    } catch {
      folder.remove()
      throw error
    }
    guard case .ip(_, let port)? = server.addresses.first else { preconditionFailure("the demo listens on loopback") }
    gatewayPort = port
  }

  var gatewayAddress: SocketAddress { .ipv4(address: 0x7f00_0001, port: gatewayPort) }

  /// Ends all of it and removes the folder.
  func close() {
    _ = server.drain()
    for core in cores { core.stop() }
    folder.remove()
  }

  /// Listens on the port that the file names, or where that cannot be had, on a free one; always on loopback.
  private static func start(_ policy: Policy) throws(CommandFault) -> Server {
    let wanted: UInt16 = if case .ip(_, let port)? = policy.settings.listeners.first?.address { port } else { 0 }
    if let server = try? start(policy, port: wanted) { return server }
    do throws(StartFault) {
      return try start(policy, port: 0)
    } catch {
      throw .failed("\(error)")
    }
  }

  private static func start(_ policy: Policy, port: UInt16) throws(StartFault) -> Server {
    var policy = policy
    policy.settings.listeners = [.init(address: .ip(IPAddress(ipv4: 0x7f00_0001), port: port))]
    return try Server(policy) { line in Console.note("gateway: \(line)") }
  }

  /// The copy's policy with what suits a demo.
  private static func policy(_ folder: DemoFolder, _ source: PolicyFolder) throws(CommandFault) -> Policy {
    let copy = PolicyFolder(path: folder.policies, stateFolder: folder.path, environment: source.environment)
    let result = Policy.load(copy, now: .now)
    guard var policy = result.policy else {
      for finding in result.findings where finding.severity == .error {
        Console.note(finding.description.replacing(folder.policies, with: source.path))
      }
      throw .failed("\(source.path): the policy is not valid; nothing was started")
    }
    policy.settings.accessLog = .file(path: folder.accessLog)
    // Another gateway may run beside it.
    policy.settings.admin = nil
    // So that the refusal of a slow head does not hold up the others for ten seconds.
    policy.settings.timeouts.headMilliseconds = 1_000
    return policy
  }
}

extension Reactor.Listener.Address {
  static func loopback(port: UInt16) -> Self { .tcp(host: "127.0.0.1", port: port) }
}

private func url(_ port: UInt16?) -> String { "http://127.0.0.1:\(port ?? 0)" }

/// One that was free a moment ago, so that connections to it are refused.
private func closedPort() -> UInt16? { (try? Reactor.Listener(.loopback(port: 0)))?.localAddress?.port }

private func randomKey() -> String {
  var generator = SystemRandomNumberGenerator()
  return (0..<4).map { _ in String(generator.next() as UInt64, radix: 36) }.joined()
}
