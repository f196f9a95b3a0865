import Foundation
import Synchronization

/// A Mutex that ThreadSanitizer understands, too: it sees the handing over of a pthread mutex, which Foundation's lock
/// is, but not that of the standard library's futex.
package final class Shared<Value: Sendable>: Sendable {
  private let value: Mutex<Value>
  private let visible = NSLock()

  package init(_ value: Value) { self.value = Mutex(value) }

  package func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
    visible.lock()
    defer { visible.unlock() }
    return value.withLock { body(&$0) }
  }
}
