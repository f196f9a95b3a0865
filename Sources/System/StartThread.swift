import CLinux
import Glibc

/// Starts a thread of its own, which lives until `body` returns.
///
/// - Parameter name: how `top -H` shows it; at most 15 bytes.
package func startThread(named name: String, _ body: @escaping @Sendable () -> Void) {
  var thread = pthread_t()
  let start = unsafe Unmanaged.passRetained(ThreadStart(name: name, body: body)).toOpaque()
  let fault = unsafe pthread_create(
    &thread, nil,
    { start in
      if let start = unsafe start { unsafe Unmanaged<ThreadStart>.fromOpaque(start).takeRetainedValue().run() }
      return nil
    }, start)
  // Threads are started with the process: without one of them it cannot serve, and must not seem to.
  guard fault == 0 else { fatalError("cannot start the thread \(name): \(Errno(fault))") }
  pthread_detach(thread)
}

/// Blocks this thread.
package func sleep(milliseconds: Int) {
  var rest = timespec(tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000)
  var left = timespec()
  while unsafe nanosleep(&rest, &left) != 0, errno == EINTR { rest = left }
}

/// What a thread is given: its name, and what it does.
private final class ThreadStart {
  private let name: String
  private let body: @Sendable () -> Void

  init(name: String, body: @escaping @Sendable () -> Void) {
    self.name = name
    self.body = body
  }

  func run() {
    unsafe _ = pthread_setname_np(pthread_self(), name)
    body()
  }
}
