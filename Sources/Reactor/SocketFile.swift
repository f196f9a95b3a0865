import Glibc
import Synchronization
import System

/// Who may connect to a Unix socket; nil keeps the umask's mode or the process's group.
package struct SocketAccess: Hashable, Sendable {
  /// Permission bits, 0 to 0o777. Connecting requires write permission (unix(7)).
  package var mode: UInt32?
  /// The group ID of the file.
  package var group: UInt32?

  package init(mode: UInt32? = nil, group: UInt32? = nil) {
    self.mode = mode
    self.group = group
  }

  /// The ID of a group of this machine; nil if there is no such group.
  package static func groupID(named name: String) -> UInt32? {
    var entry = unsafe Glibc.group()
    var found: UnsafeMutablePointer<Glibc.group>?
    // A group with many members needs more than the usual 1 KiB.
    var buffer = [CChar](repeating: 0, count: 1 << 20)
    let fault = unsafe buffer.withUnsafeMutableBufferPointer { buffer in
      unsafe getgrnam_r(name, &entry, buffer.baseAddress!, buffer.count, &found)
    }
    guard fault == 0, unsafe found != nil else { return nil }
    return unsafe entry.gr_gid
  }
}

/// The file of a bound Unix socket.
final class SocketFile: Sendable {
  private let path: String
  /// The file that was bound: a later file at the same path is not removed.
  private let identity: AppendFile.Identity?
  private let isRemoved = Atomic<Bool>(false)

  init(_ path: String) {
    self.path = path
    identity = AppendFile.identity(of: path)
  }

  /// - Throws: EPERM if the process is not a member of the group.
  func grant(_ access: SocketAccess) throws(Errno) {
    if let group = access.group, unsafe lchown(path, uid_t.max, group) != 0 { throw .last }
    if let mode = access.mode, unsafe chmod(path, mode) != 0 { throw .last }
  }

  /// Removes the file once, if it is still the one that was bound.
  func remove() {
    // Once only: after the socket is closed, its inode number can be reused for another file at the same path.
    guard !isRemoved.exchange(true, ordering: .relaxed), identity != nil, AppendFile.identity(of: path) == identity
    else { return }
    unsafe _ = unlink(path)
  }
}
