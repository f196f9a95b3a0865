import CLinux
import Glibc
import Synchronization

/// Starts a thread that runs `body` and ends when it returns.
///
/// - Parameter name: the name that `top -H` shows; at most 15 bytes.
package func startThread(named name: String, _ body: @escaping @Sendable () -> Void) {
  var thread = pthread_t()
  let start = unsafe Unmanaged.passRetained(ThreadStart(name: name, body: body)).toOpaque()
  let fault = unsafe pthread_create(
    &thread, nil,
    { start in
      if let start = unsafe start { unsafe Unmanaged<ThreadStart>.fromOpaque(start).takeRetainedValue().run() }
      return nil
    }, start)
  // Threads start with the process, and it cannot serve without any of them.
  guard fault == 0 else { fatalError("cannot start the thread \(name): \(Errno(fault))") }
  pthread_detach(thread)
}

/// Blocks this thread.
package func sleep(milliseconds: Int) {
  var rest = timespec(tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000)
  var left = timespec()
  while unsafe nanosleep(&rest, &left) != 0, errno == EINTR { rest = left }
}

/// Passes a value to a new thread that takes ownership of it. A value captured by the thread's closure would live until
/// the thread ends.
package final class Handoff<Value: Sendable>: Sendable {
  private let value: Mutex<Value?>

  package init(_ value: Value) { self.value = Mutex(value) }

  /// Moves the value out. Call it once.
  package func take() -> Value {
    guard let value = value.withLock({ $0.take() }) else { preconditionFailure("taken twice") }
    return value
  }
}

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
