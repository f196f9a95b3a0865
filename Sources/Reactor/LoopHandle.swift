import CLinux
import Glibc
package import Synchronization
package import System

/// What other threads may do with a loop: wake it, and hand it a connection.
package final class LoopHandle: Sendable {
  let epoll: FileDescriptor
  let wakeUp: FileDescriptor
  /// How many connections the loop holds; written by the loop and by who hands it one.
  package let connections = Atomic<Int>(0)
  /// How many sockets were handed over to the loop and are not adopted yet.
  package let arriving = Atomic<Int>(0)
  /// When the present turn began (monotonic nanoseconds); 0 while the loop waits for events.
  package let busySince = Atomic<Int64>(0)

  package init() throws(Errno) {
    let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw Errno.last }
    self.epoll = FileDescriptor(owning: epoll)
    let wakeUp = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    guard wakeUp >= 0 else { throw Errno.last }
    self.wakeUp = FileDescriptor(owning: wakeUp)
  }

  /// Makes the loop take its next turn at once, and call its delegate's `woken`.
  package func wake() {
    _ = eventfd_write(wakeUp.number, 1)
  }

  /// Hands over a non-blocking socket; the loop builds the connection at the socket's first event.
  ///
  /// - Parameter listener: which of the listeners accepted it, less than 65,536.
  package func adopt(_ descriptor: consuming FileDescriptor, from listener: Int) throws(Errno) {
    let number = descriptor.number
    // Counted first: the loop may have adopted it, and let it go, before the call is back.
    connections.add(1, ordering: .relaxed)
    arriving.add(1, ordering: .relaxed)
    do throws(Errno) {
      let tag = EventTag(newDescriptor: number, listener: listener)
      try Selector.control(epoll.number, EPOLL_CTL_ADD, number, tag, Selector.bothWays)
    } catch {
      connections.subtract(1, ordering: .relaxed)
      arriving.subtract(1, ordering: .relaxed)
      throw error
    }
    _ = descriptor.release()
  }
}
