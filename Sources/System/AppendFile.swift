import Glibc

/// A file that whole records are appended to, by several processes if need be, and that is made durable on demand.
package final class AppendFile: Sendable {
  /// Names a file whatever its path is now.
  package struct Identity: Equatable, Sendable {
    let device: UInt
    let number: UInt
  }

  package let identity: Identity
  private let descriptor: FileDescriptor

  /// Opens a regular file for appending, and makes it where it is missing.
  ///
  /// - Parameters:
  ///   - mode: of a new file, less the umask.
  ///   - isNew: fails with EEXIST where something stands at `path`.
  package init(path: String, mode: UInt32, isNew: Bool = false) throws(Errno) {
    // O_NONBLOCK: a pipe at the path must not hold up who opens it; it is refused below.
    let flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | (isNew ? O_EXCL : 0)
    let number = unsafe open(path, flags, mode)
    guard number >= 0 else { throw .last }
    let opened = FileDescriptor(owning: number)
    var status = stat()
    guard unsafe fstat(number, &status) == 0 else { throw .last }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .noRegularFile }
    identity = Identity(device: UInt(status.st_dev), number: UInt(status.st_ino))
    descriptor = opened
  }

  /// What stands at a path now; nil where nothing does.
  package static func identity(of path: String) -> Identity? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    return Identity(device: UInt(status.st_dev), number: UInt(status.st_ino))
  }

  package var byteCount: Int {
    var status = stat()
    return unsafe fstat(descriptor.number, &status) == 0 ? Int(status.st_size) : 0
  }

  /// The last bytes of the file, at most `count`.
  package func tail(_ count: Int) throws(Errno) -> [UInt8] {
    let size = byteCount
    var offset = max(0, size - count)
    var bytes = [UInt8](repeating: 0, count: size - offset)
    var filled = 0
    while filled < bytes.count {
      let read = unsafe bytes.withUnsafeMutableBytes { room in
        unsafe pread(descriptor.number, room.baseAddress?.advanced(by: filled), room.count - filled, off_t(offset))
      }
      guard read >= 0 || errno == EINTR else { throw .last }
      guard read != 0 else { break }
      filled += max(read, 0)
      offset += max(read, 0)
    }
    bytes.removeLast(bytes.count - filled)
    return bytes
  }

  /// Appends all of `bytes`; in one piece unless the disk runs full. What was written before a fault stays.
  package func append(_ bytes: Span<UInt8>) throws(Errno) {
    try write(bytes, to: descriptor.number)
  }

  /// Makes what was appended outlast a loss of power. After a fault the kernel may hold for clean what is not on the
  /// disk, so that another call proves nothing.
  package func synchronize() throws(Errno) {
    guard fdatasync(descriptor.number) == 0 else { throw .last }
  }

  /// Makes the names in a folder durable.
  package static func synchronize(folder: String) throws(Errno) {
    let number = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    let folder = FileDescriptor(owning: number)
    guard fsync(folder.number) == 0 else { throw .last }
  }

  package static func rename(_ path: String, to other: String) throws(Errno) {
    guard unsafe Glibc.rename(path, other) == 0 else { throw .last }
  }

  /// Gives a file a second name; fails with EEXIST where something stands there.
  package static func link(_ path: String, to other: String) throws(Errno) {
    guard unsafe Glibc.link(path, other) == 0 else { throw .last }
  }

  package static func remove(_ path: String) { _ = unsafe unlink(path) }
}

extension Errno {
  /// What stands there is a folder, a pipe or a device: nothing that one could go back in.
  package static let noRegularFile = Errno(ESPIPE)
}
