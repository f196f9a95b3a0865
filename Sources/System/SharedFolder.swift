import Glibc

/// A folder in which several processes create and read files.
package struct SharedFolder: Sendable {
  package let path: String

  /// Creates the folder and those above it, with mode 0700. Throws if this process cannot list it and write to it.
  package init(_ path: String) throws(Errno) {
    self.path = path
    // If one cannot be made, the check below fails.
    for end in path.indices.dropFirst() where path[end] == "/" { unsafe _ = mkdir(String(path[..<end]), 0o700) }
    unsafe _ = mkdir(path, 0o700)
    guard unsafe access(path, R_OK | W_OK | X_OK) == 0 else { throw .last }
  }

  package func path(of name: String) -> String { "\(path)/\(name)" }

  /// Creates an empty file with mode 0600, durably.
  ///
  /// - Returns: false if there is a file of this name, whichever process made it. After a fault there is none.
  package func create(_ name: String) throws(Errno) -> Bool {
    let number = unsafe open(path(of: name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard number >= 0 else {
      guard errno == EEXIST else { throw .last }
      return false
    }
    _ = FileDescriptor(owning: number)
    do throws(Errno) {
      try synchronizeFolder(path)
      return true
    } catch {
      remove(name)
      throw error
    }
  }

  /// The names of its entries, in no order, without `.` and `..`.
  package func entries() throws(Errno) -> [String] {
    guard let folder = unsafe opendir(path) else { throw .last }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(folder) else { break }
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw .last }
    return names
  }

  /// Makes the names in it durable (fsync(2)).
  package func synchronize() throws(Errno) { try synchronizeFolder(path) }

  /// Makes its own name durable.
  package func synchronizeParent() throws(Errno) { try synchronizeFolder("\(path)/..") }

  package func remove(_ name: String) { unsafe _ = unlink(path(of: name)) }
}

/// Makes the names in a folder durable.
func synchronizeFolder(_ path: String) throws(Errno) {
  let number = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard number >= 0 else { throw .last }
  let folder = FileDescriptor(owning: number)
  guard fsync(folder.number) == 0 else { throw .last }
}
