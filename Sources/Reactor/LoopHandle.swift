import CLinux
import Glibc
package import Synchronization
package import System

/// A loop as other threads see it: they can wake it and hand it connections.
package final class LoopHandle: Sendable {
  let epoll: FileDescriptor
  let wakeUp: FileDescriptor
  /// The number of connections of the loop; changed by the loop and by threads that hand it one.
  package let connections = Atomic<Int>(0)
  /// The number of sockets handed over and not yet adopted.
  package let arriving = Atomic<Int>(0)
  /// When the current turn began (monotonic nanoseconds); 0 while the loop waits for events.
  package let busySince = Atomic<Int64>(0)

  package init() throws(Errno) {
    let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw Errno.last }
    self.epoll = FileDescriptor(owning: epoll)
    let wakeUp = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    guard wakeUp >= 0 else { throw Errno.last }
    self.wakeUp = FileDescriptor(owning: wakeUp)
  }

  /// Makes the loop start its next turn at once and call its delegate's `woken`.
  package func wake() {
    _ = eventfd_write(wakeUp.number, 1)
  }

  /// Hands over a non-blocking socket; the loop's delegate adopts it at its first event.
  ///
  /// - Parameter listener: the index of the listener that accepted it, below 65,536.
  package func adopt(_ descriptor: consuming FileDescriptor, from listener: Int) throws(Errno) {
    let number = descriptor.number
    // Counted first: the loop may have adopted and closed it before epoll_ctl returns.
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
