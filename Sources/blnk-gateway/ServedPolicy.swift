import Gateway
import Policies
import System

/// Where `serve` has its policy from, and what it makes of it each time it is read.
final class ServedPolicy {
  private let folder: PolicyFolder
  private let listen: ListenAddress?
  private let admin: ListenAddress?
  /// Whether faults of single files and instances keep the gateway from starting.
  private let isStrict: Bool
  /// What is in force.
  private var inForce = FolderPolicy()
  /// Of the last reading.
  private var trace = FolderReading.Trace()
  private var folders: [String]
  /// Hears of changes since the last reading began.
  private(set) var watch: FolderWatch
  private var isWatching = true
  /// Whether the last reading had an error.
  private var isFaulty = false

  /// A reading that other changes overtake is repeated, so often at most; the next change, or the next try, does the rest.
  private static let readingsMax = 3
  /// How often a folder with a fault is read again (milliseconds).
  private static let retryMilliseconds: Int32 = 5_000

  init(_ arguments: Arguments) throws(CommandFault) {
    listen = try arguments.address("--listen")
    if let note = listen?.familyNote { Console.note("note: --listen \(note) in \"listen\" of gateway.json") }
    admin = try arguments.address("--admin")
    isStrict = arguments.isSet("--strict")
    folder = try PolicyFolder(arguments)
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

  var stateFolder: String { folder.stateFolder }

  /// Where the system has no more watches to give, the last one goes on: no reason for a gateway to end.
  private func watchAnew(_ folders: [String]) {
    do throws(CommandFault) {
      watch = try Self.watch(folders, folder)
    } catch {
      Console.note("\(error.message); changes may be missed until the next SIGHUP")
    }
  }

  /// How long to wait for a change before the folder is read again; nil: for ever.
  var patience: Int32? { isFaulty && isWatching ? Self.retryMilliseconds : nil }

  /// The policy to start with, and the faults of single files and instances that do not keep it from starting.
  func first() throws(CommandFault) -> (policy: Policy, faults: [String]) {
    let result = read(FolderReading(folder))
    guard let policy = result.policy, !isStrict || result.containedFaults.isEmpty else {
      throw .failed("\(folder.path): the policy is not valid; nothing was started")
    }
    let faults = result.containedFaults
    if !faults.isEmpty {
      Console.note(
        "\(folder.path): serving without what is faulty (\(counted(faults.count, "error")) above): such instances answer 503 "
          + "GATEWAY_INSTANCE_MISCONFIGURED, such clients are not known")
    }
    return (policy, faults.map(\.description))
  }

  /// Reads the folder again, and puts what it holds into force as far as it is valid.
  func reload(_ server: Server, onlyIfChanged: Bool) {
    // Watched anew before it is read: a change in between is heard.
    watchAnew(isWatching ? folders : [])
    let reading = FolderReading(folder, like: trace)
    if onlyIfChanged, reading.stamp == trace.stamp { return }
    let before = inForce.revocations
    let result = read(reading)
    guard let policy = result.policy else {
      let error = result.findings.first(where: \.isRefusal)?.description ?? "not valid"
      if inForce.revocations != before, let revoked = inForce.revoked {
        server.reload(adjusted(revoked))
        Console.note("\(folder.path): generation \(server.generation) in force with the revocations alone")
      }
      server.reloadFailed(error, faults: result.containedFaults.map(\.description))
      return Console.note("\(folder.path): not valid; generation \(server.generation) stays in force")
    }
    let faults = result.containedFaults
    let number = server.reload(policy, faults: faults.map(\.description))
    let rest =
      faults.isEmpty
      ? "" : "; for what is faulty (\(counted(faults.count, "error")) above) the last good content stays in force"
    Console.note(
      "\(folder.path): generation \(number) in force: \(counted(policy.clients.count, "client")), "
        + "\(counted(policy.instances.count, "instance"))\(rest)")
  }

  private func read(_ first: FolderReading) -> LoadResult {
    var reading = first
    // What reading took and the policy does not keep: several times the files, else held for the next reading.
    defer {
      first.forget()
      reading.forget()
      giveBackFreedMemory()
    }
    var count = 1
    while true {
      var next = inForce
      let result = folder.load(reading, into: &next)
      let unknown = Set(reading.watchedFolders).subtracting(folders)
      folders = reading.watchedFolders
      isWatching = result.policy?.settings.watchesFolder ?? isWatching
      if isWatching { watch.add(unknown.sorted()) } else { watchAnew([]) }
      if count < Self.readingsMax, !reading.isCurrent(in: unknown) {
        reading = FolderReading(folder)
        count += 1
        continue
      }
      for line in result.findings.lines { Console.note(line) }
      inForce = result.policy == nil ? inForce.revoking(as: next) : next
      trace = reading.trace
      isFaulty = result.findings.contains { $0.severity == .error }
      return LoadResult(policy: result.policy.map(adjusted), findings: result.findings)
    }
  }

  /// The policy with what the command line says.
  private func adjusted(_ policy: Policy) -> Policy {
    var policy = policy
    if let admin {
      policy.settings.admin = AdminSettings(
        address: admin, token: policy.settings.admin?.token, hosts: policy.settings.admin?.hosts ?? [])
    }
    if let listen { policy.settings.listeners = [.init(address: listen)] }
    return policy
  }
}
