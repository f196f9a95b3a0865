import Glibc
import Policies
import System

extension Command {
  static let demo = Command(
    name: "demo", abstract: "shows the gateway at work, with stand-in Cores",
    lesson: """
      Starts two stand-in Cores and the gateway on this machine, with a copy of the policy folder in which clients have fresh
      tokens, and prints calls to paste: as Blnk's documents make them, and as its SDKs do. Ctrl-C ends it all; nothing is
      left behind. With --once it makes the calls itself, prints each with its answer, and exits 0 only if all are right.

        blnk-gateway demo
        blnk-gateway demo --once
      """,
    flags: [.policies, Flag(name: "--once", value: nil, about: "make the calls, judge the answers, and end")]
  ) { arguments throws(CommandFault) in
    let signals = Signals(holding: [SIGTERM, SIGINT, SIGHUP])
    let stage = try DemoStage(try PolicyFolder(arguments))
    defer { stage.close() }
    guard arguments.isSet("--once") else {
      try Console.print(DemoGuide(stage: stage).text)
      _ = signals.wait()
      return 0
    }
    let folder = stage.folder
    startThread(named: "signals") {
      _ = signals.wait()
      folder.remove()
      exit(130)
    }
    return try DemoRun(stage).run() ? 0 : 1
  }
}
