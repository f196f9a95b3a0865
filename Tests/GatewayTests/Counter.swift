import Synchronization

/// A counter for several threads.
final class Counter: Sendable {
  private let count = Atomic<Int>(0)
  var value: Int { count.load(ordering: .sequentiallyConsistent) }
  func add() { count.add(1, ordering: .sequentiallyConsistent) }
}

/// A flag for several threads, set once.
final class Flag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .sequentiallyConsistent) }
  func set() { flag.store(true, ordering: .sequentiallyConsistent) }
}
