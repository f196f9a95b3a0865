import FoundationEssentials
import Gateway
import Policies

extension Command.Flag {
  static let policies = Command.Flag(
    name: "--policies", value: "DIR", about: "the policy folder (else $BLNK_GATEWAY_POLICIES, else ./policies)")
  static let state = Command.Flag(
    name: "--state", value: "DIR", about: "where relative log paths begin (else $STATE_DIRECTORY, else here)")
  static let withoutKeys = Command.Flag(
    name: "--without-keys", value: nil, about: "look at no key and no TLS file, for machines that have none")
}

extension PolicyFolder {
  /// The folder that the command line, or else the environment, names.
  init(_ arguments: Arguments) throws(CommandFault) {
    let environment = ProcessInfo.processInfo.environment
    let named = environment["BLNK_GATEWAY_POLICIES"].flatMap { $0.isEmpty ? nil : $0 }
    let state = arguments.value("--state")
    if let state {
      var isFolder = false
      guard FileManager.default.fileExists(atPath: state, isDirectory: &isFolder), isFolder else {
        throw .failed("--state \(state): there is no such folder; make it, or name another")
      }
    }
    self.init(
      path: arguments.value("--policies") ?? named ?? "policies", stateFolder: state, environment: environment)
    readsKeys = !arguments.isSet(Command.Flag.withoutKeys.name)
  }

  /// The policy and all that is to be said of the folder.
  func load() -> LoadResult {
    var policy = FolderPolicy()
    return load(FolderReading(self), into: &policy)
  }

  /// - Parameter inForce: what is in force, for what is faulty now; becomes what was read.
  func load(_ reading: FolderReading, into inForce: inout FolderPolicy) -> LoadResult {
    let read = inForce.read(reading, now: .now)
    let result = LoadResult(policy: read.policy, findings: read.findings + [reading.passedOverNote].compactMap(\.self))
    guard let policy = result.policy else { return result }
    let fitted = policy.fittedToDescriptors(in: reading)
    let findings = result.findings + Policy.findingsOfKeysNotInForce(in: reading) + fitted.findings
    return LoadResult(policy: findings.contains(where: \.isRefusal) ? nil : fitted.policy, findings: findings)
  }
}

extension UnixSeconds {
  static var now: UnixSeconds { UnixSeconds(Int64(Date().timeIntervalSince1970)) }
}
