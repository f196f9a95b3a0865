import Gateway
import Glibc
import Policies
import System

extension Command {
  static let serve = Command(
    name: "serve", abstract: "runs the gateway",
    lesson: """
      Reads the policy folder, listens, and relays what clients may ask to the Cores. SIGTERM and Ctrl-C end it in order:
      no new connections, every exchange to its end. SIGHUP, or a change in the folder, puts the whole of it into force
      anew. What is faulty in one instance or in one file of clients/ or instances/ concerns that alone: at the start it is
      left out, later its last good content stays in force; a folder that is faulty otherwise changes nothing. Revocations
      in revoked.json take effect in any case. Keys that are not in force yet are named at the start.
      The access log, one JSON line a request, goes to standard output, all else to standard error. SIGUSR1 opens logs
      anew, after a rotation has moved their files.

        export BLNK_DEMO_KEY=the-cores-own-key BLNK_SECOND_KEY=another    # the shipped policies name these two
        blnk-gateway serve --policies policies --listen 127.0.0.1:8080

      policies/README.md tells every key of the files, with recipes.
      """,
    flags: [
      .policies, .state,
      Flag(name: "--listen", value: "ADDRESS", about: "instead of \"listen\" of gateway.json, such as 127.0.0.1:8080"),
      Flag(
        name: "--admin", value: "ADDRESS",
        about: "instead of the address of \"admin\" of gateway.json, such as 127.0.0.1:9901"),
      Flag(name: "--strict", value: nil, about: "do not start while one instance or file is faulty"),
    ]
  ) { arguments throws(CommandFault) in
    // Before any thread starts: they inherit the mask.
    let signals = Signals(holding: [SIGTERM, SIGINT, SIGHUP, SIGUSR1])
    let ending = Signals(holding: [SIGTERM, SIGINT])
    let source = try ServedPolicy(arguments)
    let server = try start(source)
    while true {
      switch signals.wait(or: source.watch, quiet: 200, patience: source.patience) {
      case .signal(SIGUSR1):
        server.reopenLogs()
        continue
      case .signal(SIGHUP):
        source.reload(server, onlyIfChanged: false)
        continue
      case .change, .nothing:
        source.reload(server, onlyIfChanged: true)
        continue
      case .signal: break
      }
      break
    }
    ending.letThrough()
    Console.note("draining; once more Ctrl-C ends at once")
    guard server.drain() else { throw .failed("not every exchange ended within \"drain_s\"; the others were cut") }
    return 0
  }

  /// In a scope of its own: the policy to start with is not held when others have followed it.
  private static func start(_ source: ServedPolicy) throws(CommandFault) -> Server {
    let (policy, faults) = try source.first()
    do throws(StartFault) {
      let server = try Server(policy, faults: faults, stateFolder: source.stateFolder) { line in Console.note(line) }
      for address in server.addresses { Console.note("listening on \(address)") }
      if let address = server.adminAddress { Console.note("for operators: \(address), /status and /metrics") }
      return server
    } catch {
      throw .failed("\(error)")
    }
  }
}

extension Arguments {
  func address(_ flag: String) throws(CommandFault) -> ListenAddress? {
    guard let text = value(flag) else { return nil }
    guard let address = ListenAddress(text) else { throw .usage("\(flag) \(ListenAddress.fault(of: text))") }
    return address
  }
}
