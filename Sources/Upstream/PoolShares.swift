/// Each client's share of a pool's connections, and which waiter is next.
extension Pool {
  /// How many connections one client holds or is connecting, and how many of them carry uploads.
  ///
  /// Counted on demand, when there are waiters or uploads: keeping counters would cost every request.
  private func held(by client: UInt32) -> (all: Int, uploads: Int) {
    var held = (all: 0, uploads: 0)
    for connection in connections where connection.isHeld(by: client) {
      held.all += 1
      if connection.carriesUpload { held.uploads += 1 }
    }
    return held
  }

  func mayUpload(_ client: UInt32) -> Bool { held(by: client).uploads < clientConnectionsMax }

  /// The waiter to serve next: the oldest whose client is below its share, else the oldest. It skips uploads of clients
  /// whose uploads already hold their whole share.
  @inline(__always)
  func indexOfNextWaiter() -> Int? { queue.isEmpty ? nil : indexOfFairWaiter() }

  @inline(never)
  private func indexOfFairWaiter() -> Int? {
    var oldest: Int?
    var atShare: [(client: UInt32, mayUpload: Bool)] = []
    for (index, waiter) in queue.waiters.enumerated() {
      var mayUpload = atShare.first { $0.client == waiter.client }?.mayUpload
      if mayUpload == nil {
        let held = held(by: waiter.client)
        guard held.all >= clientConnectionsMax else { return index }
        mayUpload = held.uploads < clientConnectionsMax
        atShare.append((waiter.client, held.uploads < clientConnectionsMax))
      }
      if oldest == nil, !waiter.isUpload || mayUpload == true { oldest = index }
      // All clients in the queue are checked: none is below its share.
      if oldest != nil, atShare.count == queue.clientCount { break }
    }
    return oldest
  }
}
