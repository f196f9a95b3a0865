import Glibc

/// Replaces a file's contents atomically: readers see the old bytes or the new bytes, never a mixture.
package struct FileReplacement {
  /// The file itself; the caller resolves links first.
  private let path: String
  private let folder: String
  private let temporary: String
  private let newMode: UInt32

  /// - Parameter newMode: the mode of the file if it does not exist yet.
  package init(_ path: String, newMode: UInt32 = 0o644) {
    self.path = path
    self.newMode = newMode
    let slash = path.lastIndex(of: "/")
    folder = slash.map { slash in slash == path.startIndex ? "/" : String(path[..<slash]) } ?? "."
    let name = slash.map { slash in path[path.index(after: slash)...] } ?? path[...]
    // In the same folder, because a rename does not cross file systems; with a dot, so that it is not read as a policy.
    temporary = "\(folder)/.\(name).\(getpid()).tmp"
  }

  /// Whether it may be a temporary file that a killed process has left in the folder.
  package static func isTemporary(_ name: String) -> Bool { name.hasPrefix(".") && name.hasSuffix(".tmp") }

  /// Writes a temporary file with the old file's owner and mode, makes it durable, and renames it. A fault leaves the old
  /// file unchanged. A new file gets the owner of its folder.
  package func write(_ bytes: [UInt8]) throws(Errno) {
    var before = stat()
    if unsafe stat(path, &before) != 0 {
      guard errno == ENOENT, unsafe stat(folder, &before) == 0 else { throw .last }
      before.st_mode = newMode
    }
    do throws(Errno) {
      try fill(bytes, like: before)
      guard unsafe rename(temporary, path) == 0 else { throw .last }
    } catch {
      unsafe _ = unlink(temporary)
      throw error
    }
    try synchronizeFolder(folder)
  }

  private func fill(_ bytes: [UInt8], like before: stat) throws(Errno) {
    let number = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard number >= 0 else { throw .last }
    let file = FileDescriptor(owning: number)
    var made = stat()
    guard unsafe fstat(file.number, &made) == 0 else { throw .last }
    if made.st_uid != before.st_uid || made.st_gid != before.st_gid {
      guard fchown(file.number, before.st_uid, before.st_gid) == 0 else { throw .last }
    }
    guard fchmod(file.number, before.st_mode & 0o7777) == 0 else { throw .last }
    try System.write(bytes.span, to: file.number)
    guard fsync(file.number) == 0 else { throw .last }
  }
}
