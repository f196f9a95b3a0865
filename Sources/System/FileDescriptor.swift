import Glibc

/// An open descriptor with one owner, closed when the owner releases it.
package struct FileDescriptor: ~Copyable, Sendable {
  package let number: Int32

  package init(owning number: Int32) { self.number = number }

  deinit { close(number) }

  /// Makes written bytes durable (fdatasync(2)). After a fault the kernel may mark unwritten pages clean, so a second call
  /// that succeeds proves nothing.
  borrowing func synchronize() throws(Errno) {
    guard fdatasync(number) == 0 else { throw .last }
  }

  /// Gives up ownership: the caller must close the returned number.
  package consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }
}
