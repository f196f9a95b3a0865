import Glibc

/// An open descriptor, closed when its one owner lets go of it.
package struct FileDescriptor: ~Copyable, Sendable {
  package let number: Int32

  package init(owning number: Int32) { self.number = number }

  deinit { close(number) }

  /// Gives the number away: whoever takes it closes it.
  package consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }
}
