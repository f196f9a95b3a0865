import Policies
import System

/// An edit of a policy folder's tokens. It locks the folder, so that concurrent edits wait.
struct TokenEditSession: ~Copyable {
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
      let reason = error == .wouldBlock ? "another command is editing its tokens; try again" : "\(error)"
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

  /// Unlocks the folder and waits until the edit is in force. Returns a sentence for the user about the result.
  consuming func waitUntilInForce(_ edit: FileEdit) throws(CommandFault) -> String {
    let name = String(edit.file.dropFirst(folder.path.count + 1))
    let inForce = inForce
    // Unlocks the folder for other edits.
    _ = consume self
    return try inForce.wait(for: name, edit.after)
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
