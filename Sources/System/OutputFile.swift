import Glibc

/// A file, pipe or standard stream that bytes are written to in order.
package final class OutputFile: Sendable {
  package static let standardOutput = OutputFile(number: 1, owned: nil)
  package static let standardError = OutputFile(number: 2, owned: nil)

  private let number: Int32
  private let owned: FileDescriptor?

  /// Opens a file so that every write goes to its end: lines stay whole when two processes write or a rotation truncates.
  ///
  /// - Parameter mode: the mode of a new file, before the umask.
  package convenience init(appendingTo path: String, mode: UInt32) throws(Errno) {
    let number = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, mode)
    guard number >= 0 else { throw .last }
    self.init(number: number, owned: FileDescriptor(owning: number))
  }

  private init(number: Int32, owned: consuming FileDescriptor?) {
    self.number = number
    self.owned = owned
  }

  /// Whether a write blocks while the pipe is full. Another process that shares the stream may change this at any time.
  package var isBlocking: Bool { fcntl(number, F_GETFL) & O_NONBLOCK == 0 }

  /// Writes all of `bytes`; bytes written before a fault stay written.
  package func write(_ bytes: Span<UInt8>) throws(Errno) { try System.write(bytes, to: number) }
}

/// Writes all of `bytes` to a descriptor; bytes written before a fault stay written.
func write(_ bytes: Span<UInt8>, to number: Int32) throws(Errno) {
  var written = 0
  while written < bytes.count {
    let count = unsafe bytes.withUnsafeBufferPointer { bytes in
      unsafe Glibc.write(number, bytes.baseAddress?.advanced(by: written), bytes.count - written)
    }
    guard count >= 0 || errno == EINTR else { throw .last }
    written += max(count, 0)
  }
}
