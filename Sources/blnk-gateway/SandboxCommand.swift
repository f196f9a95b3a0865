import FoundationEssentials
import Glibc
import Policies
import Reactor
import SandboxCore
import System

extension Command {
  static let sandbox = Command(
    name: "sandbox", abstract: "runs a stand-in for Blnk Core, whole in memory",
    lesson: """
      For trying out and for tests, where no Core is at hand. It answers on ledgers, identities, balances and transactions
      as Core v0.15.2 was seen to, in status, fields and texts. It is a stand-in and no ledger: it keeps nothing when it ends.

        echo my-key > core.key
        blnk-gateway sandbox --listen 127.0.0.1:5001 --key-file core.key
        curl -H 'X-Blnk-Key: my-key' http://127.0.0.1:5001/balances

      An empty list is null, as at Core. With --as documented the call that links a balance to an identity is refused in the
      words of the documents: 400 and {"error": "balance validation failed: balance not found"}, where Core says 404.
      """,
    flags: [
      Flag(
        name: "--listen", value: "ADDRESS", about: "where it waits, such as 127.0.0.1:5001; port 0 takes a free one"),
      Flag(
        name: "--key-file", value: "FILE", about: "holds what X-Blnk-Key has to be; a newline at its end is dropped"),
      Flag(name: "--as", value: "0.15|documented", about: "like Core v0.15 (if not given), or as its documents say"),
    ]
  ) { arguments throws(CommandFault) in
    let signals = Signals(holding: [SIGTERM, SIGINT, SIGHUP])
    guard let address = try arguments.address("--listen"), let file = arguments.value("--key-file") else {
      throw .usage("sandbox: --listen ADDRESS and --key-file FILE are needed; see --help")
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
    let name = dialect == .measured ? "" : ", as \(dialect.rawValue)"
    Console.note("stand-in for Blnk Core\(name), which keeps nothing: listening on \(address.with(port: port))")
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
      throw .failed("--key-file \(file): there is no such file")
    }
    guard let data = FileManager.default.contents(atPath: file), data.count <= keyBytesMax,
      let text = String(data: data, encoding: .utf8)
    else { throw .failed("--key-file \(file): cannot be read as a key of at most \(keyBytesMax) bytes") }
    let key = text.hasSuffix("\n") ? String(text.dropLast()) : text
    guard !key.isEmpty, key.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw .failed("--key-file \(file): a key is one line of visible ASCII")
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

  /// The same with the port that the system chose.
  fileprivate func with(port: UInt16?) -> ListenAddress {
    guard case .ip(let address, _) = self, let port else { return self }
    return .ip(address, port: port)
  }
}
