package import Synchronization

/// A number that one thread changes and every thread may read.
///
/// A change is a plain load and store, which no other core has to agree to; so there is only ever one writer.
package struct Counter: ~Copyable, Sendable {
  @usableFromInline let value = Atomic<Int>(0)

  @inlinable package init() {}

  @inlinable package func add(_ amount: Int = 1) {
    value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  @inlinable package var now: Int { value.load(ordering: .relaxed) }
}
