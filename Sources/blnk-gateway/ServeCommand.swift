import Gateway
import Glibc
import Policies
import System

extension Command {
  static let serve = Command(
    name: "serve", summary: "run the gateway", usage: "[OPTIONS]",
    description: """
      Loads the policy folder, listens for clients, and relays their requests to the
      Cores. Runs until SIGTERM or SIGINT (Ctrl-C), which drain it: it stops accepting
      connections after "drain_delay_s", and completes the exchanges in progress for
      at most "drain_s" (see gateway.json). A second Ctrl-C stops it immediately.

      Reloads the folder when a file in it changes and on SIGHUP. An invalid
      gateway.json or routes.json changes nothing: the policy in force stays. An error
      in one instance, or in one file of clients/ or instances/, affects only that
      part: its last good content stays in force, or, at startup, it is not served.
      Revocations in revoked.json always take effect. SIGUSR1 reopens the log files,
      for log rotation.

      SIGUSR2 replaces the process without losing a request, to upgrade the program: it
      starts the program again from its path, which takes over the listening sockets,
      and drains once the new process serves. If that fails to start within 60 s,
      nothing changes.

      Under systemd it reports when it serves, reloads and drains (Type=notify), feeds
      the watchdog as long as all loops make turns (WatchdogSec=), uses the sockets of
      a socket unit whose addresses are in "listen" (FileDescriptorName=proxy) or
      "admin" (FileDescriptorName=admin), and reads keys from credentials
      (LoadCredential=). deploy/systemd has the units.

      Prints the access log on standard output, one JSON line per request, unless
      "access_log" of gateway.json names a file. Prints everything else on standard
      error: the addresses, policy findings, reloads and faults.

      policies/README.md describes every key of the policy files and has recipes.
      """,
    options: [
      .policies, .state,
      Option(
        name: "--listen", value: "ADDRESS",
        help: "listen here, such as 127.0.0.1:8080; overrides \"listen\" of gateway.json"),
      Option(
        name: "--admin", value: "ADDRESS",
        help: "serve the admin endpoint here, such as 127.0.0.1:9901; overrides \"admin\" of gateway.json"),
      Option(name: "--strict", value: nil, help: "do not start if any instance or file has an error"),
    ],
    exitCodes: [
      0: "drained: all exchanges were completed",
      1: "the gateway did not start, or exchanges were aborted when \"drain_s\" had passed",
    ],
    example: """
      export BLNK_DEMO_KEY=the-core-key BLNK_SECOND_KEY=another-core-key    # the shipped policies name these two
      blnk-gateway serve --policies policies --listen 127.0.0.1:8080
      """
  ) { arguments throws(CommandFault) in
    // Before it reads a key.
    do throws(Errno) { try disableDumps() } catch { throw .failed("cannot disable core dumps: \(error)") }
    // Before any thread starts: threads inherit the signal mask, and may read the environment.
    let service = try ServiceManager.fromEnvironment(log: Console.log)
    let upgrade = Upgrade(log: Console.log)
    let signals = Signals(blocking: [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])
    let ending = Signals(blocking: [SIGTERM, SIGINT])
    let listen = try arguments.address("--listen")
    if let note = listen?.familyNote { Console.log("note: --listen \(note) in \"listen\" of gateway.json") }
    let admin = try arguments.address("--admin")
    let folder = try PolicyFolder(arguments)
    let reloader = try PolicyReloader(
      folder, listen: listen, admin: admin, isStrict: arguments.isSet("--strict"), service: service, log: Console.log)
    let server = try start(reloader, stateFolder: folder.stateFolder, service)
    while true {
      switch signals.wait(
        or: reloader.watch, settleMilliseconds: 200, timeoutMilliseconds: PolicyReloader.retryMilliseconds)
      {
      case .signal(SIGUSR1):
        server.reopenLogs()
        continue
      case .signal(SIGUSR2):
        guard upgrade.replace(server, service) else { continue }
        ending.unblock()
        Console.log("draining; press Ctrl-C to stop immediately")
        guard server.handOver() else { throw .failed("exchanges still in progress after \"drain_s\" were aborted") }
        return 0
      case .signal(SIGHUP):
        reloader.reload(server, onlyIfChanged: false)
        continue
      case .change:
        reloader.reload(server, onlyIfChanged: true)
        continue
      case .timeout:
        server.releaseBurstMemory()
        if reloader.isRetrying { reloader.reload(server, onlyIfChanged: true) }
        continue
      case .signal: break
      }
      break
    }
    ending.unblock()
    service.notifyStopping(server)
    Console.log("draining; press Ctrl-C again to stop immediately")
    guard server.drain() else { throw .failed("exchanges still in progress after \"drain_s\" were aborted") }
    return 0
  }

  /// A separate function, so that the first policy is released when it is replaced.
  private static func start(
    _ reloader: PolicyReloader, stateFolder: String, _ service: ServiceManager
  ) throws(CommandFault) -> Server {
    let (policy, faults) = try reloader.initialPolicy()
    do throws(StartFault) {
      let server = try Server(
        policy, faults: faults, stateFolder: stateFolder, inheriting: service.sockets, handover: service.handover
      ) { line in Console.log(line) }
      for address in server.addresses { Console.log("listening on \(address)") }
      if let address = server.adminAddress { Console.log("admin endpoint on \(address)") }
      service.notifyReady(server)
      service.startWatchdog(server)
      if let handover = service.handover {
        handover.confirm()
        server.takeOver()
      }
      return server
    } catch {
      throw .failed("\(error)")
    }
  }
}
