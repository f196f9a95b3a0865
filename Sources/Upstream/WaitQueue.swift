/// An exchange in a pool's queue.
struct Waiter {
  let delegate: any ConnectionDelegate
  let client: UInt32
  let isUpload: Bool

  init(_ delegate: any ConnectionDelegate) {
    self.delegate = delegate
    client = delegate.clientKey
    isUpload = delegate.isUploading
  }
}

/// The waiters of one pool, oldest first.
struct WaitQueue {
  private(set) var waiters: [Waiter] = []
  /// The number of waiters of each client that has any.
  private var counts: [UInt32: Int] = [:]

  var isEmpty: Bool { waiters.isEmpty }
  var count: Int { waiters.count }
  var clientCount: Int { counts.count }

  mutating func append(_ waiter: Waiter) {
    waiters.append(waiter)
    counts[waiter.client, default: 0] += 1
  }

  mutating func prepend(_ waiter: Waiter) {
    waiters.insert(waiter, at: 0)
    counts[waiter.client, default: 0] += 1
  }

  mutating func remove(at index: Int) -> Waiter {
    let waiter = waiters.remove(at: index)
    let count = counts[waiter.client, default: 0] - 1
    counts[waiter.client] = count > 0 ? count : nil
    return waiter
  }

  func index(of delegate: any ConnectionDelegate) -> Int? { waiters.firstIndex { $0.delegate === delegate } }

  /// The waiter to evict from a full queue in favor of `client`: the newest of the client with the most waiters,
  /// provided that this client afterwards still has at least as many as `client`; nil: none.
  func indexToEvict(for client: UInt32) -> Int? {
    guard let most = counts.values.max(), counts[client, default: 0] < most - 1 else { return nil }
    return waiters.lastIndex { counts[$0.client] == most }
  }
}
