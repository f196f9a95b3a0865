import Glibc

/// Puts new bytes in a file's place in one step: whoever reads it finds the old bytes or the new, never a part.
package struct FileReplacement {
  /// The file itself; links are resolved before.
  private let path: String
  private let folder: String
  private let temporary: String
  private let newMode: UInt32

  /// - Parameter newMode: of a file that is not there yet.
  package init(_ path: String, newMode: UInt32 = 0o644) {
    self.path = path
    self.newMode = newMode
    let slash = path.lastIndex(of: "/")
    folder = slash.map { slash in slash == path.startIndex ? "/" : String(path[..<slash]) } ?? "."
    let name = slash.map { slash in path[path.index(after: slash)...] } ?? path[...]
    // In the same folder, because a rename does not cross file systems; with a dot, so that nobody reads it as a policy.
    temporary = "\(folder)/.\(name).\(getpid()).tmp"
  }

  /// Writes beside the file with its owner and mode, makes that durable, and renames. On a fault all is as before. A file
  /// that is not there gets the owner of its folder.
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
    try syncFolder()
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

  private func syncFolder() throws(Errno) {
    let number = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    let folder = FileDescriptor(owning: number)
    guard fsync(folder.number) == 0 else { throw .last }
  }
}
