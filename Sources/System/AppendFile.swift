import Glibc

/// A file that one or more processes append whole records to, made durable on demand.
package final class AppendFile: Sendable {
  /// Device and inode: identifies a file after its path has changed.
  package struct Identity: Equatable, Sendable {
    let device: UInt
    let number: UInt
  }

  package let identity: Identity
  private let descriptor: FileDescriptor

  /// Opens a regular file for appending and creates it if missing.
  ///
  /// - Parameters:
  ///   - mode: the mode of a new file, before the umask.
  ///   - mustCreate: fails with EEXIST if `path` already exists.
  /// - Throws: `Errno.notRegularFile` for a folder, pipe or device.
  package init(path: String, mode: UInt32, mustCreate: Bool = false) throws(Errno) {
    // O_NONBLOCK: opening a pipe must not block; it is rejected below.
    let flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | (mustCreate ? O_EXCL : 0)
    let number = unsafe open(path, flags, mode)
    guard number >= 0 else { throw .last }
    let opened = FileDescriptor(owning: number)
    var status = stat()
    guard unsafe fstat(number, &status) == 0 else { throw .last }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .notRegularFile }
    identity = Identity(device: UInt(status.st_dev), number: UInt(status.st_ino))
    descriptor = opened
  }

  /// The identity of the file now at `path`; nil if there is none.
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
      let read = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe pread(descriptor.number, buffer.baseAddress?.advanced(by: filled), buffer.count - filled, off_t(offset))
      }
      guard read >= 0 || errno == EINTR else { throw .last }
      guard read != 0 else { break }
      filled += max(read, 0)
      offset += max(read, 0)
    }
    bytes.removeLast(bytes.count - filled)
    return bytes
  }

  /// Appends all of `bytes`, in one write unless the disk runs full. Bytes written before a fault stay in the file.
  package func append(_ bytes: Span<UInt8>) throws(Errno) {
    try write(bytes, to: descriptor.number)
  }

  /// Makes appended bytes durable, as in `FileDescriptor`: a second call after a fault proves nothing.
  package func synchronize() throws(Errno) { try descriptor.synchronize() }

  /// Makes a folder's entries durable (fsync(2)).
  package static func synchronize(folder: String) throws(Errno) {
    let number = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    let folder = FileDescriptor(owning: number)
    guard fsync(folder.number) == 0 else { throw .last }
  }

  package static func rename(_ path: String, to other: String) throws(Errno) {
    guard unsafe Glibc.rename(path, other) == 0 else { throw .last }
  }

  /// Creates a hard link; fails with EEXIST if `other` exists.
  package static func link(_ path: String, to other: String) throws(Errno) {
    guard unsafe Glibc.link(path, other) == 0 else { throw .last }
  }

  package static func remove(_ path: String) { _ = unsafe unlink(path) }
}

extension Errno {
  /// The path is a folder, a pipe or a device, which cannot be read from an offset.
  package static let notRegularFile = Errno(ESPIPE)
}
