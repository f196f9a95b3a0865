import Synchronization

/// A value for a thread that is about to start: what a thread's closure holds itself stays until the thread ends.
package final class HandedOver<Value: Sendable>: Sendable {
  private let value: Mutex<Value?>

  package init(_ value: Value) { self.value = Mutex(value) }

  /// Gives the value away; once.
  package func take() -> Value {
    guard let value = value.withLock({ $0.take() }) else { preconditionFailure("taken twice") }
    return value
  }
}
