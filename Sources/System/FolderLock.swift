import Glibc

/// An exclusive lock on a folder for a process that edits its files (flock(2)); released when freed or when the
/// process exits.
package struct FolderLock: ~Copyable {
  private let folder: FileDescriptor

  /// Waits at most `milliseconds` for another holder, then fails with `Errno.wouldBlock`.
  package init(_ path: String, waitingMilliseconds milliseconds: Int) throws(Errno) {
    let number = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    let opened = FileDescriptor(owning: number)
    try Self.lock(number, until: SystemClock.nanoseconds + Int64(milliseconds) * 1_000_000)
    folder = opened
  }

  private static func lock(_ number: Int32, until deadline: Int64) throws(Errno) {
    while flock(number, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw .last }
      guard SystemClock.nanoseconds < deadline else { throw .wouldBlock }
      usleep(20_000)
    }
  }
}
