import FoundationEssentials
import Gateway
import Policies

extension Command.Flag {
  static let policies = Command.Flag(
    name: "--policies", value: "DIR", about: "the policy folder (else $BLNK_GATEWAY_POLICIES, else ./policies)")
  static let state = Command.Flag(
    name: "--state", value: "DIR", about: "where relative log paths begin (else $STATE_DIRECTORY, else here)")
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
  }

  /// The policy and all that is to be said of the folder.
  func load() -> LoadResult {
    let result = Policy.load(self, now: .now)
    guard let policy = result.policy else { return result }
    let fitted = policy.fittedToDescriptors(in: self)
    let findings = result.findings + Policy.findingsOfKeysNotInForce(in: self) + fitted.findings
    let isRefused = findings.contains { finding in finding.severity == .error }
    return LoadResult(policy: isRefused ? nil : fitted.policy, findings: findings)
  }
}

extension UnixSeconds {
  static var now: UnixSeconds { UnixSeconds(Int64(Date().timeIntervalSince1970)) }
}
