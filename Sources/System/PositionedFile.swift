import Glibc

/// A file that this process has created and writes at offsets, made durable on demand.
package final class PositionedFile: Sendable {
  private let descriptor: FileDescriptor

  /// Fails with EEXIST if `path` exists.
  ///
  /// - Parameter mode: before the umask.
  package init(creating path: String, mode: UInt32) throws(Errno) {
    let number = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard number >= 0 else { throw .last }
    descriptor = FileDescriptor(owning: number)
  }

  /// Writes all of `bytes` (pwrite(2)), in one call unless the disk runs full. Bytes written before a fault stay in the file.
  package func write(_ bytes: Span<UInt8>, at offset: Int) throws(Errno) {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBufferPointer { bytes in
        unsafe pwrite(
          descriptor.number, bytes.baseAddress?.advanced(by: written), bytes.count - written, off_t(offset + written))
      }
      guard count >= 0 || errno == EINTR else { throw .last }
      written += max(count, 0)
    }
  }

  /// Removes the bytes from an offset on (ftruncate(2)).
  package func truncate(to byteCount: Int) throws(Errno) {
    guard ftruncate(descriptor.number, off_t(byteCount)) == 0 else { throw .last }
  }

  /// Makes written bytes durable, as in `FileDescriptor`: a second call after a fault proves nothing.
  package func synchronize() throws(Errno) { try descriptor.synchronize() }
}
