import Policies
import System

/// One edit of the tokens of a policy folder; until it is done, other edits wait.
struct TokenEditing: ~Copyable {
  private static let waitMilliseconds = 5_000

  private let command: String
  let folder: PolicyFolder
  private let lock: FolderLock
  private let inForce: InForce

  init(_ arguments: Arguments, for command: String) throws(CommandFault) {
    let folder = try PolicyFolder(arguments)
    let inForce = try InForce(arguments, folder, for: command)
    // Before the files are read: what they hold may be another's edit to come.
    let held = try Self.lock(folder, for: command)
    lock = held
    self.folder = folder
    self.command = command
    self.inForce = inForce
  }

  /// All entries, of which each must be readable.
  func entries() throws(CommandFault) -> ClientEntries { try ClientEntries(valid: folder, for: command) }

  private static func lock(_ folder: PolicyFolder, for command: String) throws(CommandFault) -> FolderLock {
    do throws(Errno) {
      return try FolderLock(folder.path, waitingMilliseconds: waitMilliseconds)
    } catch {
      let reason = error == .again ? "another edit of its tokens is under way; try again" : "\(error)"
      throw .failed("\(command): \(folder.path): \(reason)")
    }
  }

  func client(_ id: String) throws(CommandFault) -> ClientEntry {
    let entries = try entries()
    guard let client = entries.clients.first(where: { client in client.id == id }) else {
      let hint = suggestion(for: id, among: entries.clients.map(\.id))
      throw .failed("\(command): there is no client \"\(id)\" in \(folder.path)\(hint)")
    }
    return client
  }

  /// Waits until what was written is in force; gives the sentence that says so.
  consuming func settle(_ edit: FileEdit) throws(CommandFault) -> String {
    let name = String(edit.file.dropFirst(folder.path.count + 1))
    let inForce = inForce
    // Others may edit meanwhile.
    _ = consume self
    return try inForce.wait(for: name, edit.after)
  }

  func write(_ edit: FileEdit) throws(CommandFault) {
    guard edit.isReadable else { throw .failed("\(command): \(edit.file) would become too long; nothing was written") }
    // Editors know nothing of the lock.
    guard edit.isCurrent else {
      throw .failed("\(command): \(edit.file) was changed meanwhile; nothing was written; try again")
    }
    do throws(Errno) {
      try FileReplacement(edit.target).write(edit.after)
    } catch {
      throw .failed("\(command): cannot replace \(edit.target) with its owner and mode: \(error)")
    }
  }
}

extension ClientEntries {
  /// The entries of a folder whose files can be read.
  init(valid folder: PolicyFolder, for command: String) throws(CommandFault) {
    self.init(folder)
    guard findings.isEmpty else {
      for line in findings.lines { Console.note(line) }
      throw .failed("\(command): \(folder.path): the clients cannot be read; nothing was done")
    }
  }
}
