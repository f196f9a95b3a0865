import Foundation
import Gateway
import Policy
import Reactor

let signals = Signals(holding: [SIGTERM, SIGINT])
let folder = PolicyFolder(
  path: CommandLine.arguments[3], stateFolder: CommandLine.arguments[5],
  environment: ProcessInfo.processInfo.environment)
let result = Policy.load(folder, now: UnixSeconds(Int64(Date().timeIntervalSince1970)))
for f in result.findings { FileHandle.standardError.write(Data("\(f)\n".utf8)) }
guard let policy = result.policy else { exit(1) }
do {
  let server = try Server(policy) { line in FileHandle.standardError.write(Data("\(line)\n".utf8)) }
  FileHandle.standardError.write(Data("listening on \(server.addresses[0])\n".utf8))
  _ = signals.wait()
  signals.letThrough()
  print("drained", server.drain())
} catch { print(error); exit(1) }
