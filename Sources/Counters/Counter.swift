public import Synchronization

/// A counter that one thread writes and any thread reads.
///
/// A change is a plain load and store, without a locked instruction, so only one thread may write.
///
/// Public, like the types that count with it for each request, so that it is inlined into other modules: otherwise the
/// objects on the way to a counter are retained and released.
public struct Counter: ~Copyable, Sendable {
  @usableFromInline let value = Atomic<Int>(0)

  @inlinable public init() {}

  @inlinable public func add(_ amount: Int = 1) {
    value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  @inlinable public var current: Int { value.load(ordering: .relaxed) }
}
