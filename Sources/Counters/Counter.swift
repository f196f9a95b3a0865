public import Synchronization

/// A number that one thread changes and every thread may read.
///
/// A change is a plain load and store, which no other core has to agree to; so there is only ever one writer.
///
/// Public, as is what counts with it for each request, to be inlined in other rooms: else the references on the way to a
/// counter are counted too.
public struct Counter: ~Copyable, Sendable {
  @usableFromInline let value = Atomic<Int>(0)

  @inlinable public init() {}

  @inlinable public func add(_ amount: Int = 1) {
    value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  @inlinable public var now: Int { value.load(ordering: .relaxed) }
}
