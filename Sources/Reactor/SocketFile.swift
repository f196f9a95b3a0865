import Glibc
import Synchronization
import System

/// Who may connect to a Unix socket; nil: as the umask, or the process's group, has it.
package struct SocketAccess: Hashable, Sendable {
  /// Permission bits, 0 to 0o777. To connect takes the permission to write (unix(7)).
  package var mode: UInt32?
  /// The number of the group of the file.
  package var group: UInt32?

  package init(mode: UInt32? = nil, group: UInt32? = nil) {
    self.mode = mode
    self.group = group
  }
}

/// The file of a bound Unix socket.
final class SocketFile: Sendable {
  private let path: String
  /// What was bound: a file that has taken its place since is not removed.
  private let identity: AppendFile.Identity?
  private let isRemoved = Atomic<Bool>(false)

  init(_ path: String) {
    self.path = path
    identity = AppendFile.identity(of: path)
  }

  /// - Throws: EPERM where the process is no member of the group.
  func grant(_ access: SocketAccess) throws(Errno) {
    if let group = access.group, unsafe lchown(path, uid_t.max, group) != 0 { throw .last }
    if let mode = access.mode, unsafe chmod(path, mode) != 0 { throw .last }
  }

  /// Removes the file, once.
  func remove() {
    // Only once: when the socket is closed the number of its file can go to another one at the same path.
    guard !isRemoved.exchange(true, ordering: .relaxed), identity != nil, AppendFile.identity(of: path) == identity
    else { return }
    unsafe _ = unlink(path)
  }
}
