import Policies
import System

/// An edit of a policy folder. It locks the folder, so that concurrent edits wait.
struct PolicyEditSession: ~Copyable {
  private static let lockMilliseconds = 5_000

  private let command: String
  let folder: PolicyFolder
  private let lock: FolderLock
  private let inForce: InForceCheck

  init(_ arguments: Arguments, for command: String) throws(CommandFault) {
    let folder = try PolicyFolder(arguments)
    let inForce = try InForceCheck(arguments, folder, for: command)
    // Before the files are read: a concurrent edit may be changing them.
    let lock = try Self.lock(folder, for: command)
    self.lock = lock
    self.folder = folder
    self.command = command
    self.inForce = inForce
  }

  /// All client entries. Fails if any file cannot be read.
  func entries() throws(CommandFault) -> ClientEntries { try ClientEntries(valid: folder, for: command) }

  private static func lock(_ folder: PolicyFolder, for command: String) throws(CommandFault) -> FolderLock {
    do throws(Errno) {
      return try FolderLock(folder.path, waitingMilliseconds: lockMilliseconds)
    } catch {
      let reason = error == .wouldBlock ? "another command is editing this folder; try again" : "\(error)"
      throw .failed("\(command): \(folder.path): \(reason)")
    }
  }

  func client(_ id: String) throws(CommandFault) -> ClientEntry {
    let entries = try entries()
    guard let client = entries.clients.first(where: { client in client.id == id }) else {
      let hint = suggestion(for: id, among: entries.clients.map(\.id))
      throw .failed("\(command): unknown client \"\(id)\" in \(folder.path)\(hint)")
    }
    return client
  }

  /// The policy in the files. Fails if anything in the folder is invalid.
  func policy() throws(CommandFault) -> Policy {
    let result = Policy.load(folderWithoutKeys, now: .now)
    let errors = result.findings.filter { $0.severity == .error }
    guard let policy = result.policy, errors.isEmpty else {
      for line in errors.lines { Console.log(line) }
      throw .failed("\(command): \(folder.path) is invalid; nothing was written; correct it first")
    }
    return policy
  }

  /// Writes a new entry. Fails if the folder would be invalid with it; prints warnings and notes about it.
  func write(_ entry: NewEntry) throws(CommandFault) -> FileEdit {
    let edit: FileEdit
    do throws(NewEntry.Fault) {
      edit = try entry.edit(in: folder)
    } catch {
      throw .failed("\(command): \(error.message); nothing was written")
    }
    var policy = FolderPolicy()
    let findings = policy.read(FolderReading(folderWithoutKeys, after: edit), now: .now).findings
    let errors = findings.filter { $0.severity == .error }
    guard errors.isEmpty else {
      for line in errors.lines { Console.log(line) }
      throw .failed("\(command): the policy would be invalid; nothing was written")
    }
    let own = findings.filter { $0.file == edit.file && "\($0.keyPath).".hasPrefix("\(entry.keyPath).") }
    for line in own.lines { Console.log(line) }
    try write(edit)
    return edit
  }

  /// Keys are the gateway's: this process may lack its environment, credentials and permissions.
  var folderWithoutKeys: PolicyFolder {
    var folder = folder
    folder.readsKeys = false
    return folder
  }

  /// Unlocks the folder, records the edit in the audit log, and waits until it is in force. Returns a sentence for the user
  /// about the result.
  ///
  /// - Parameters:
  ///   - keyPath: of an entry in the file that must have no fault; nil: none.
  ///   - change: for the audit log: what was changed, by the names of `RecordedChange`; never a secret.
  consuming func waitUntilInForce(
    _ edit: FileEdit, keyPath: String? = nil, recording change: [(String, String)]
  ) throws(CommandFault) -> String {
    let (command, folder, inForce) = (command, folder, inForce)
    // Unlocks the folder for other edits.
    _ = consume self
    let record = ChangeRecord(command: command, folder: folder, admin: inForce.settings)
    if let reason = record.write(change, edit) {
      Console.log("warning: this change is not in the audit log: \(reason)")
    }
    return try inForce.wait(for: edit.name(in: folder), edit.after, keyPath: keyPath)
  }

  func write(_ edit: FileEdit) throws(CommandFault) {
    guard edit.isReadable else { throw .failed("\(command): \(edit.file) would become too large; nothing was written") }
    // Text editors do not use the lock.
    guard edit.isCurrent else {
      throw .failed("\(command): \(edit.file) has changed in the meantime; nothing was written; try again")
    }
    do throws(Errno) {
      try FileReplacement(edit.resolvedPath).write(edit.after)
    } catch {
      throw .failed("\(command): cannot replace \(edit.resolvedPath) and keep its owner and mode: \(error)")
    }
  }
}

extension ClientEntries {
  /// All client entries. Fails if any file cannot be read.
  init(valid folder: PolicyFolder, for command: String) throws(CommandFault) {
    self.init(folder)
    guard findings.isEmpty else {
      for line in findings.lines { Console.log(line) }
      throw .failed("\(command): \(folder.path): the clients' files are invalid; nothing was written")
    }
  }
}
