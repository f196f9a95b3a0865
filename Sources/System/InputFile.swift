import Glibc

/// A file or pipe read in order, such as a shell's `<(…)`, whose path is valid in this process only.
package final class InputFile: Sendable {
  package static let standardInput = InputFile(number: 0, owned: nil)

  let number: Int32
  private let owned: FileDescriptor?

  package convenience init(path: String) throws(Errno) {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    self.init(number: number, owned: FileDescriptor(owning: number))
  }

  /// A regular file; nil: it is something else. Follows no link, and never waits.
  package static func regular(path: String) throws(Errno) -> InputFile? {
    let number = unsafe open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    let file = InputFile(number: number, owned: FileDescriptor(owning: number))
    return file.byteCount == nil ? nil : file
  }

  /// The whole of a regular file; nil: it is something else, such as a pipe, or has more than `byteCountMax` bytes.
  ///
  /// Opens without waiting, so that a pipe that takes the file's place meanwhile cannot block the caller.
  package static func contents(ofRegularFile path: String, byteCountMax: Int) throws(Errno) -> [UInt8]? {
    let number = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    let file = InputFile(number: number, owned: FileDescriptor(owning: number))
    guard let count = file.byteCount, count <= byteCountMax else { return nil }
    return try file.read(count)
  }

  package convenience init(_ descriptor: consuming FileDescriptor) {
    self.init(number: descriptor.number, owned: descriptor)
  }

  private init(number: Int32, owned: consuming FileDescriptor?) {
    self.number = number
    self.owned = owned
  }

  /// The size of a regular file; nil for anything that cannot be read twice.
  package var byteCount: Int? {
    var status = stat()
    guard unsafe fstat(number, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return Int(status.st_size)
  }

  /// Reads the next `count` bytes, fewer only at the end of the file.
  package func read(_ count: Int) throws(Errno) -> [UInt8] {
    var fault: Errno?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let length = unsafe Glibc.read(number, buffer.baseAddress?.advanced(by: filled), count - filled)
        guard length >= 0 || errno == EINTR else {
          fault = .last
          return
        }
        guard length != 0 else { return }
        filled += max(length, 0)
      }
    }
    if let fault { throw fault }
    return bytes
  }

  /// Reads `count` bytes of a regular file from an offset (pread(2)), fewer only at the end of the file.
  package func read(_ count: Int, at offset: Int) throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let length = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe pread(number, buffer.baseAddress?.advanced(by: filled), count - filled, off_t(offset + filled))
      }
      guard length >= 0 || errno == EINTR else { throw .last }
      guard length != 0 else { break }
      filled += max(length, 0)
    }
    bytes.removeLast(count - filled)
    return bytes
  }

  /// Sets the offset of the next read in a regular file.
  package func seek(to offset: Int) throws(Errno) {
    guard lseek(number, off_t(offset), SEEK_SET) >= 0 else { throw .last }
  }
}
