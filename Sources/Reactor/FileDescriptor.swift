import Glibc

/// An open descriptor, closed when its one owner lets go of it.
package struct FileDescriptor: ~Copyable, Sendable {
  package let number: Int32

  package init(owning number: Int32) { self.number = number }

  /// Opens what stands at a path for reading: a file, or a pipe such as a shell's `<(…)`, whose name leads nowhere else.
  package init(reading path: String) throws(Errno) {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { throw .last }
    self.init(owning: number)
  }

  deinit { close(number) }

  /// Gives the number away: whoever takes it closes it.
  package consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }
}
