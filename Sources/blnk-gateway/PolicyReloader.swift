import Gateway
import Policies
import System

/// Loads a policy folder and keeps a running gateway up to date with it.
final class PolicyReloader {
  private let folder: PolicyFolder
  /// From the command line: override gateway.json.
  private let listen: ListenAddress?
  private let admin: ListenAddress?
  /// Whether faults in individual files and instances prevent the start.
  private let isStrict: Bool
  private let logsWarnings: Bool
  /// Is notified of each reload; nil: there is none to notify.
  private let service: ServiceManager?
  private let log: (String) -> Void
  private var inForce = FolderPolicy()
  /// From the last time the folder was read.
  private var inventory = FolderReading.Inventory()
  private var folders: [String]
  /// Reports changes since the last read of the folder began.
  private(set) var watch: FolderWatch
  private var isWatching = true
  /// Whether the folder had an error the last time it was read.
  private var isFaulty = false

  /// If the folder changes while it is read, it is read again, up to this many times in all. The next event or retry finds
  /// later changes.
  private static let readingsMax = 3
  /// The interval at which a folder with an error is read again (milliseconds).
  static let retryMilliseconds: Int32 = 5_000

  init(
    _ folder: PolicyFolder, listen: ListenAddress? = nil, admin: ListenAddress? = nil, isStrict: Bool = false,
    logsWarnings: Bool = true, service: ServiceManager? = nil, log: @escaping (String) -> Void
  ) throws(CommandFault) {
    self.folder = folder
    self.listen = listen
    self.admin = admin
    self.isStrict = isStrict
    self.logsWarnings = logsWarnings
    self.service = service
    self.log = log
    folders = FolderReading(folder).watchedFolders
    watch = try Self.watch(folders, folder)
  }

  private static func watch(_ folders: [String], _ folder: PolicyFolder) throws(CommandFault) -> FolderWatch {
    do throws(Errno) {
      return try FolderWatch(folders)
    } catch {
      throw .failed("cannot watch \(folder.path): \(error)")
    }
  }

  /// If the system has no inotify watches left, the old watch stays: no reason for a running gateway to stop.
  private func replaceWatch(_ folders: [String]) {
    do throws(CommandFault) {
      watch = try Self.watch(folders, folder)
    } catch {
      log("\(error.message); changes may go unnoticed until the next SIGHUP")
    }
  }

  /// Whether to read the folder again after `retryMilliseconds`, even if no change was reported.
  var isRetrying: Bool { isFaulty && isWatching }

  /// The policy to start with, and the faults in individual files and instances that do not prevent the start.
  func initialPolicy() throws(CommandFault) -> (policy: Policy, faults: [String]) {
    let result = read(FolderReading(folder))
    guard let policy = result.policy, !isStrict || result.containedFaults.isEmpty else {
      throw .failed("\(folder.path): the policy is invalid; the gateway did not start")
    }
    let faults = result.containedFaults
    if !faults.isEmpty {
      log(
        "\(folder.path): serving without the faulty instances and clients (\(counted(faults.count, "error")) above): "
          + "requests to these instances get 503 GATEWAY_INSTANCE_MISCONFIGURED, tokens of these clients are unknown")
    }
    return (policy, faults.map(\.description))
  }

  /// Reads the folder again and puts its valid parts in force.
  func reload(_ server: Server, onlyIfChanged: Bool) {
    // The new watch starts before the reading, so that it reports changes made meanwhile.
    replaceWatch(isWatching ? folders : [])
    let reading = FolderReading(folder, rereading: inventory)
    if onlyIfChanged, reading.stamp == inventory.stamp { return }
    service?.notifyReloading()
    defer { service?.notifyReady(server) }
    let before = inForce
    let result = read(reading)
    guard let policy = result.policy else {
      let error = result.findings.first(where: \.preventsLoading)?.description ?? "invalid"
      return reject(error, result, server, after: before)
    }
    let faults = result.containedFaults
    let number: Int
    do throws(ReloadFault) {
      number = try server.reload(policy, faults: faults.map(\.description), from: folder.path)
    } catch {
      inForce = before.withRevocations(of: inForce)
      let message =
        "\(error); under this policy, revoked tokens would be accepted: repair the folder of \"oauth.revocations\", then "
        + "send SIGHUP"
      log(message)
      return reject(message, result, server, after: before)
    }
    let rest =
      faults.isEmpty
      ? "" : "; the faulty parts (\(counted(faults.count, "error")) above) keep their last good content"
    log(
      "\(folder.path): generation \(number) in force: \(counted(policy.clients.count, "client")), "
        + "\(counted(policy.instances.count, "instance"))\(rest)")
  }

  /// Leaves the policy in force, except that new revocations apply.
  private func reject(_ error: String, _ result: LoadResult, _ server: Server, after before: FolderPolicy) {
    if inForce.revocations != before.revocations, let revoked = inForce.lastGood {
      do throws(ReloadFault) {
        try server.reload(applyingOverrides(revoked), from: folder.path)
        log("\(folder.path): generation \(server.generation) in force, with new revocations only")
      } catch {
        log("\(error); the new revocations of revoked.json are not in force")
      }
    }
    server.reloadFailed(error, faults: result.containedFaults.map(\.description))
    log("\(folder.path): the policy is invalid; generation \(server.generation) stays in force")
  }

  private func read(_ first: FolderReading) -> LoadResult {
    var reading = first
    // Readings hold several times the size of the files, which the policy does not keep.
    defer {
      first.releaseAll()
      reading.releaseAll()
      releaseFreedMemory()
    }
    var count = 1
    while true {
      var next = inForce
      let result = folder.load(reading, into: &next)
      let watched = reading.watchedFolders
      let unknown = Set(watched).subtracting(folders)
      folders = watched
      isWatching = result.policy?.settings.watchesFolder ?? isWatching
      if isWatching { watch.add(unknown.sorted()) } else { replaceWatch([]) }
      if count < Self.readingsMax, !reading.isCurrent(in: unknown) {
        reading = FolderReading(folder)
        count += 1
        continue
      }
      let logged = logsWarnings ? result.findings : result.findings.filter { $0.severity == .error }
      for line in logged.lines { log(line) }
      inForce = result.policy == nil ? inForce.withRevocations(of: next) : next
      inventory = reading.inventory
      isFaulty = result.findings.contains { $0.severity == .error }
      return LoadResult(policy: result.policy.map(applyingOverrides), findings: result.findings)
    }
  }

  private func applyingOverrides(_ policy: Policy) -> Policy {
    var policy = policy
    if let admin {
      policy.settings.admin = AdminSettings(
        address: admin, token: policy.settings.admin?.token, hosts: policy.settings.admin?.hosts ?? [])
    }
    if let listen { policy.settings.listeners = [.init(address: listen)] }
    return policy
  }
}
