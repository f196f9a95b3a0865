import Glibc
import Policies
import System

extension Command {
  static let demo = Command(
    name: "demo", summary: "run the gateway with two sandbox Cores, to try it out", usage: "[--policies DIR] [--once]",
    description: """
      Starts two sandbox Cores (see "sandbox") and the gateway on 127.0.0.1. The
      gateway uses a copy of the policy folder, in a temporary folder, with new
      tokens. Ctrl-C stops everything and deletes the folder.

      Prints addresses, and commands to paste into another terminal: calls from Blnk's
      documentation, calls as its SDKs make them, rejected calls, and operator tools:
      admin endpoint, audit log, "explain" and "token".

      With --once, makes such calls itself, prints and checks each response, and
      stops.
      """,
    options: [.policies, Option(name: "--once", value: nil, help: "make the calls, check the responses, and stop")],
    exitCodes: [
      0: "stopped by Ctrl-C; with --once, all checks passed", 1: "it did not start; with --once, a check failed",
    ],
    example: "blnk-gateway demo"
  ) { arguments throws(CommandFault) in
    let signals = Signals(blocking: [SIGTERM, SIGINT, SIGHUP])
    let demo = try DemoEnvironment(try PolicyFolder(arguments))
    defer { demo.close() }
    guard arguments.isSet("--once") else {
      try Console.print(DemoGuide(demo: demo).text)
      demo.serve(until: signals)
      try Console.print("\nStopping, and deleting \(demo.folder.path).")
      return 0
    }
    let folder = demo.folder
    startThread(named: "signals") {
      _ = signals.wait()
      folder.remove()
      exit(130)
    }
    return try DemoRun(demo).run() ? 0 : 1
  }
}
