import Glibc

/// An open descriptor with one owner, closed when the owner releases it.
package struct FileDescriptor: ~Copyable, Sendable {
  package let number: Int32

  package init(owning number: Int32) { self.number = number }

  deinit { close(number) }

  /// Gives up ownership: the caller must close the returned number.
  package consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }
}
