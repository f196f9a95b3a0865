import Glibc

/// The error number of a failed system call, with its text.
package struct Errno: Error, Equatable, Sendable, CustomStringConvertible {
  package let number: Int32

  package init(_ number: Int32) { self.number = number }

  /// The errno of the last failed call on this thread.
  package static var last: Errno { Errno(errno) }

  package static let wouldBlock = Errno(EAGAIN)
  package static let interrupted = Errno(EINTR)
  package static let fileExists = Errno(EEXIST)
  package static let noSuchFile = Errno(ENOENT)
  package static let inputOutput = Errno(EIO)
  package static let notPermitted = Errno(EPERM)
  package static let addressInUse = Errno(EADDRINUSE)
  package static let connectionRefused = Errno(ECONNREFUSED)
  package static let tooManyOpenFiles = Errno(EMFILE)

  package var description: String {
    guard let text = unsafe strerror(number) else { return "error \(number)" }
    return unsafe String(cString: text)
  }
}
