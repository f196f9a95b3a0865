import FoundationEssentials
import Policies

extension Command {
  static let diff = Command(
    name: "diff", summary: "show who gains or loses access from one policy folder to another",
    usage: "[--json] OLD NEW",
    description: """
      Compares two policy folders, such as a checkout before and after a change. Who
      may call which route on which instance is decided by the gateway's own admission
      code, for each client, token, client secret and client of another server. Reads
      no keys and no TLS files, so that it also runs where there are none: settings
      show where a key is, never the key. Use "check" on each folder as well.

      Prints a sentence for each change: what clients gain and lose, tokens that are
      added, removed, revoked or get another expiry, and each setting that differs.
      Last comes whether any client gains access. A new token or client secret, a later
      expiry, a revocation that is undone, and a wider network count as gains, too.

      Lists of more than 50 sentences are cut; --json has all.
      """,
    options: [Option(name: "--json", value: nil, help: "print a JSON object instead of sentences")],
    exitCodes: [0: "no client gains access", 1: "a client gains access", 4: "a folder is missing or invalid"],
    example: """
      git worktree add /tmp/before origin/main
      blnk-gateway diff /tmp/before/policies policies
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    guard arguments.operands.count == 2 else {
      throw .usage("diff: needs two policy folders: diff OLD NEW; see --help")
    }
    let folders = arguments.operands.map { path in
      var folder = PolicyFolder(path: path, stateFolder: ".", environment: ProcessInfo.processInfo.environment)
      folder.readsKeys = false
      return folder
    }
    let (old, new) = (folders[0], folders[1])
    let (before, after) = (try policy(of: old), try policy(of: new))
    let report = DiffReport(
      diff: PolicyDiff(from: before, to: after, at: .now), settings: SettingChange.all(from: old, to: new),
      digests: (before.digest, after.digest))
    try arguments.isSet("--json") ? report.printJSON() : report.print()
    return report.diff.givesAccess ? 1 : 0
  }

  /// The policy of a folder without any error: one in a part of it would leave that part out.
  private static func policy(of folder: PolicyFolder) throws(CommandFault) -> Policy {
    var inForce = FolderPolicy()
    let reading = FolderReading(folder)
    let result = inForce.read(reading, now: .now)
    let errors = result.findings.filter { $0.severity == .error }
    guard let policy = result.policy, errors.isEmpty else {
      for line in errors.lines { Console.log(line) }
      throw .unreadable("diff: \(folder.path): the policy is invalid")
    }
    return policy
  }
}
