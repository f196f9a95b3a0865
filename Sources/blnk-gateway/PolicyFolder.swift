import FoundationEssentials
import Gateway
import Policies

extension Command.Option {
  static let policies = Command.Option(
    name: "--policies", value: "DIR", help: "the policy folder (default: $BLNK_GATEWAY_POLICIES, else ./policies)")
  static let state = Command.Option(
    name: "--state", value: "DIR",
    help: "the base of relative log paths (default: $STATE_DIRECTORY, else the working directory)")
  static let withoutKeys = Command.Option(
    name: "--without-keys", value: nil, help: "read no keys and no TLS files, for machines that have none")
}

extension PolicyFolder {
  /// The folder named by the command line or else by the environment.
  init(_ arguments: Arguments) throws(CommandFault) {
    let environment = ProcessInfo.processInfo.environment
    let named = environment["BLNK_GATEWAY_POLICIES"].flatMap { $0.isEmpty ? nil : $0 }
    let state = arguments.value("--state")
    if let state {
      var isFolder = false
      guard FileManager.default.fileExists(atPath: state, isDirectory: &isFolder), isFolder else {
        throw .failed("--state \(state): no such folder; create it or name another")
      }
    }
    self.init(
      path: arguments.value("--policies") ?? named ?? "policies", stateFolder: state, environment: environment)
    readsKeys = !arguments.isSet(Command.Option.withoutKeys.name)
  }

  /// Loads the policy, as for a first start.
  func load() -> LoadResult {
    var policy = FolderPolicy()
    return load(FolderReading(self), into: &policy)
  }

  /// Loads the policy, including the checks that depend on this version and this process.
  ///
  /// - Parameter inForce: the last good content, which replaces faulty parts; updated by this reading.
  func load(_ reading: FolderReading, into inForce: inout FolderPolicy) -> LoadResult {
    let read = inForce.read(reading, now: .now)
    let result = LoadResult(policy: read.policy, findings: read.findings + [reading.skippedNote].compactMap(\.self))
    guard let policy = result.policy else { return result }
    let fitted = policy.fittedToDescriptors(in: reading)
    let findings = result.findings + fitted.findings
    return LoadResult(policy: findings.contains(where: \.preventsLoading) ? nil : fitted.policy, findings: findings)
  }
}
