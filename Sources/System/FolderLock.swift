import Glibc

/// An exclusive lock on a folder for a process that edits its files (flock(2)); released when freed or when the
/// process exits.
package struct FolderLock: ~Copyable {
  private let folder: FileDescriptor

  /// To be passed to another process, which then has the same lock. It ends with the last descriptor.
  package var number: Int32 { folder.number }

  /// Waits at most `milliseconds` for another holder, then fails with `Errno.wouldBlock`.
  package init(_ path: String, waitingMilliseconds milliseconds: Int) throws(Errno) {
    let number = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    let opened = FileDescriptor(owning: number)
    try Self.lock(number, until: SystemClock.nanoseconds + Int64(milliseconds) * 1_000_000)
    folder = opened
  }

  /// Takes over the lock of another process, which has passed a duplicate of its descriptor.
  ///
  /// - Throws: `Errno.otherFolder` if the descriptor is not of the folder, `Errno.wouldBlock` if it does not have the lock.
  package init(_ path: String, inherited descriptor: consuming FileDescriptor) throws(Errno) {
    let number = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    let opened = FileDescriptor(owning: number)
    guard let expected = DescriptorIdentity(of: opened.number),
      DescriptorIdentity(of: descriptor.number) == expected
    else { throw .otherFolder }
    // The lock belongs to what both processes have open, so that this succeeds while either has it.
    try Self.lock(descriptor.number, until: 0)
    folder = descriptor
  }

  private static func lock(_ number: Int32, until deadline: Int64) throws(Errno) {
    while flock(number, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw .last }
      guard SystemClock.nanoseconds < deadline else { throw .wouldBlock }
      usleep(20_000)
    }
  }
}

extension Errno {
  /// The descriptor is of another folder than the path.
  package static let otherFolder = Errno(EXDEV)
}
