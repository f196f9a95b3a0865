import Digests
import Dispatch
import Gateway
import Policies
import System

/// Where `serve` has its policy from, and what it makes of it each time it is read.
struct ServedPolicy {
  private let folder: PolicyFolder
  private let listen: ListenAddress?
  private let admin: ListenAddress?
  /// What the folder held when it was read last.
  private var contents: Digest
  private(set) var isWatching = true
  /// The first error of the folder when it was read last; nil: it is valid.
  private var error: String?

  init(_ arguments: Arguments) throws(CommandFault) {
    listen = try arguments.address("--listen")
    if let note = listen?.familyNote { Console.note("note: --listen \(note) in \"listen\" of gateway.json") }
    admin = try arguments.address("--admin")
    folder = try PolicyFolder(arguments)
    contents = folder.contents
  }

  /// Watches the folder from now on, where "watch" does not forbid it.
  func watch() throws(CommandFault) -> FolderWatch {
    do throws(Errno) {
      return try FolderWatch(isWatching ? folder.watchedFolders : [])
    } catch {
      throw .failed("cannot watch \(folder.path): \(error)")
    }
  }

  /// Of the folder's files when they were read last, as 64 hex digits.
  var digest: String { contents.hex }

  /// The policy to start with.
  mutating func first() throws(CommandFault) -> Policy {
    guard let policy = read() else { throw .failed("\(folder.path): the policy is not valid; nothing was started") }
    return policy
  }

  /// Reads the folder again, and puts what it holds into force when it is valid.
  mutating func reload(_ server: Server, onlyIfChanged: Bool) {
    let before = contents
    contents = folder.contents
    if onlyIfChanged, contents == before { return }
    guard let policy = read() else {
      server.reloadFailed(error ?? "not valid")
      return Console.note("\(folder.path): not valid; generation \(server.generation) stays in force")
    }
    let number = server.reload(policy, digest: digest)
    // The policy until now goes once the last exchange under it has ended, most often at once.
    DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(1)) { giveBackFreedMemory() }
    Console.note(
      "\(folder.path): generation \(number) in force: \(policy.clients.count) clients, \(policy.instances.count) instances"
    )
  }

  private mutating func read() -> Policy? {
    // What reading took and the policy does not keep: several times the files, else held for the next reading.
    defer { giveBackFreedMemory() }
    let result = folder.load()
    for line in result.findings.lines { Console.note(line) }
    error = result.findings.first { $0.severity == .error }?.description
    guard var policy = result.policy else { return nil }
    if let admin {
      policy.settings.admin = AdminSettings(address: admin, token: policy.settings.admin?.token)
    }
    if let listen { policy.settings.listeners = [.init(address: listen)] }
    isWatching = policy.settings.watchesFolder
    return policy
  }
}
