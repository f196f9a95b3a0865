import Synchronization

/// A Mutex whose handing over ThreadSanitizer sees, too: it knows atomics, but not the standard library's futex.
struct SeenMutex<Value: Sendable>: ~Copyable, Sendable {
  private let value: Mutex<Value>
  private let handedOver = Atomic<Bool>(false)

  init(_ value: Value) { self.value = Mutex(value) }

  func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
    value.withLock { value in
      _ = handedOver.load(ordering: .acquiring)
      defer { handedOver.store(true, ordering: .releasing) }
      return body(&value)
    }
  }
}
