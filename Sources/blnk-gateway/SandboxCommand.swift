import FoundationEssentials
import Glibc
import Policies
import Reactor
import SandboxCore
import System

extension Command {
  static let sandbox = Command(
    name: "sandbox", summary: "run an in-memory substitute for Blnk Core",
    usage: "--listen ADDRESS --key-file FILE [--as DIALECT]",
    description: """
      For demos and tests without a Core. Runs until SIGTERM or SIGINT (Ctrl-C). It is
      not a ledger: all data is lost when it stops.

      It answers requests about ledgers, identities, balances, transactions and
      metadata like Core v0.15.2, with the same status, fields and error texts (a test
      replays 178 recorded exchanges of a real Core; 177 agree). As in Core, an empty
      list is null, and a queued transaction gets 201 before its reference is checked:
      a repeated one is dropped silently. With "skip_queue": true it gets 409.

      Not implemented: inflight, scheduled, bulk and refund transactions, multiple
      sources, balance monitors and snapshots, search, reconciliation, hooks, API keys
      and backups. Fund lineage has the right shape but no content. A queued
      transaction is applied before the response, not later. At most 100,000 records
      are stored.

      With --as documented, errors of the call that links a balance to an identity
      have the status and the texts of Blnk's documentation: for example, 400 where
      Core answers 404. A repeated identity_id gets 409 where Core answers 400.

      Prints the address it listens on, on standard error.
      """,
    options: [
      Option(
        name: "--listen", value: "ADDRESS", help: "listen here, such as 127.0.0.1:5001; port 0 chooses a free port"),
      Option(
        name: "--key-file", value: "FILE",
        help: "the file with the required X-Blnk-Key; one trailing newline is ignored"),
      Option(
        name: "--as", value: "0.15|documented", help: "answer like Core v0.15 (default) or as Blnk's documentation says"
      ),
    ],
    exitCodes: [0: "stopped by a signal", 1: "it cannot listen or read the key file"],
    example: """
      echo my-key > core.key
      blnk-gateway sandbox --listen 127.0.0.1:5001 --key-file core.key
      curl -H 'X-Blnk-Key: my-key' http://127.0.0.1:5001/balances    # in another terminal
      """
  ) { arguments throws(CommandFault) in
    let signals = Signals(blocking: [SIGTERM, SIGINT, SIGHUP])
    guard let address = try arguments.address("--listen"), let file = arguments.value("--key-file") else {
      throw .usage("sandbox: --listen ADDRESS and --key-file FILE are required; see --help")
    }
    let dialect = try dialect(arguments)
    let key = try key(in: file)
    let server: SandboxServer
    do throws(Errno) {
      server = try SandboxServer(listen: address.forReactor, key: key, dialect: dialect)
    } catch {
      throw .failed("cannot listen on \(address): \(error)")
    }
    let port = server.address.port
    let name = dialect == .measured ? "" : " (as \(dialect.rawValue))"
    Console.log("sandbox for Blnk Core\(name), in memory only, listening on \(address.with(port: port))")
    _ = signals.wait()
    server.stop()
    return 0
  }

  private static func dialect(_ arguments: Arguments) throws(CommandFault) -> CoreDialect {
    guard let text = arguments.value("--as") else { return .measured }
    guard let dialect = CoreDialect(rawValue: text) else {
      let names = CoreDialect.allCases.map(\.rawValue).joined(separator: " or ")
      throw .usage("sandbox: --as \(text): must be \(names)")
    }
    return dialect
  }

  private static let keyBytesMax = 4096

  private static func key(in file: String) throws(CommandFault) -> String {
    var isFolder = false
    guard FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), !isFolder else {
      throw .failed("--key-file \(file): no such file")
    }
    guard let data = FileManager.default.contents(atPath: file), data.count <= keyBytesMax,
      let text = String(data: data, encoding: .utf8)
    else { throw .failed("--key-file \(file): cannot be read, is not text, or exceeds \(keyBytesMax) bytes") }
    let key = text.hasSuffix("\n") ? String(text.dropLast()) : text
    guard !key.isEmpty, key.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw .failed("--key-file \(file): a key must be one line of visible ASCII characters")
    }
    return key
  }
}

extension ListenAddress {
  fileprivate var forReactor: Reactor.Listener.Address {
    switch self {
    case .ip(let address, let port): .tcp(host: address.description, port: port)
    case .unix(let path): .unix(path: path)
    }
  }

  /// The same address with the port that the system chose.
  fileprivate func with(port: UInt16?) -> ListenAddress {
    guard case .ip(let address, _) = self, let port else { return self }
    return .ip(address, port: port)
  }
}
