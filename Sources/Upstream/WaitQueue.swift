/// An exchange in a pool's queue.
struct Waiter {
  let delegate: any ConnectionDelegate
  let client: UInt32
  let isUpload: Bool
  /// When it was queued (monotonic milliseconds).
  let since: Int64

  init(_ delegate: any ConnectionDelegate, now: Int64) {
    self.delegate = delegate
    client = delegate.clientKey
    isUpload = delegate.isUploading
    since = now
  }
}

/// The waiters of one pool and what each client holds: decides who is next. Each step takes O(log clients).
///
/// Next is the oldest waiter whose client holds less than its share, else the oldest. It skips uploads of clients whose
/// uploads hold their whole share.
///
/// Counting each lease would cost every request. So only uploads are always counted; the other leases are from when the
/// first waiter comes until `quietMax` leases after the last one has gone.
struct WaitQueue: ~Copyable {
  private(set) var count = 0
  /// Leases without a waiter, after which they are no longer counted.
  private var quietLeft = 0
  private let quietMax: Int
  /// Of one client, in connections.
  let share: Int
  private(set) var slots: [Slot] = []
  private var freeSlots: [Int32] = []
  private var accounts: [Account] = []
  private var freeAccounts: [Int32] = []
  /// How many accounts have neither waiters nor counted leases. They are kept for a while: their clients may return.
  private var unusedCount = 0
  private var lookup: [UInt32: Int32] = [:]
  /// The accounts with a waiter that may be served.
  private var ranked = RankedHeap()
  /// The accounts with waiters; the one with the most first. Kept only while the queue is nearly full.
  private var longest = RankedHeap()
  /// `longest` is dropped when fewer wait; .max: it is not kept.
  private var longestCountMin = Int.max
  private var frontOrder = 0
  private var backOrder = 0

  struct Slot {
    var waiter: Waiter?
    let isUpload: Bool
    let since: Int64
    var account: Int32
    var order: Int
    var previous: Int32
    var next: Int32
  }

  /// One client: it has waiters or counted leases.
  private struct Account {
    let client: UInt32
    var held = 0
    var uploads = 0
    var waiting = 0
    var requests = WaiterList()
    var uploadRequests = WaiterList()

    var isUnused: Bool { held == 0 && waiting == 0 }
  }

  /// Waiters in order of arrival, linked by slot.
  private struct WaiterList {
    var first: Int32 = -1
    var last: Int32 = -1
  }

  /// - Parameters:
  ///   - share: how many connections one client may hold while others wait, and its uploads at any time.
  ///   - connectionsMax: of the pool.
  init(share: Int, connectionsMax: Int) {
    self.share = share
    quietMax = connectionsMax
  }

  var isEmpty: Bool { count == 0 }
  /// Whether every lease is to be counted.
  var isCounting: Bool { quietLeft > 0 }

  // MARK: Leases

  /// Counts a lease of a client; returns its account, for `endHold`.
  mutating func hold(_ client: UInt32, isUpload: Bool) -> Int32 {
    if isEmpty, quietLeft > 0 { quietLeft -= 1 }
    let id = account(of: client)
    hold(id, isUpload)
    return id
  }

  private mutating func hold(_ id: Int32, _ isUpload: Bool) {
    accounts[Int(id)].held += 1
    if isUpload { accounts[Int(id)].uploads += 1 }
    rank(id)
  }

  mutating func endHold(_ id: Int32, isUpload: Bool) {
    accounts[Int(id)].held -= 1
    if isUpload { accounts[Int(id)].uploads -= 1 }
    rank(id)
    releaseIfUnused(id)
  }

  func mayUpload(_ client: UInt32) -> Bool {
    guard let id = lookup[client] else { return true }
    return accounts[Int(id)].uploads < share
  }

  /// From now on all leases are counted.
  mutating func beginCounting() { quietLeft = quietMax }

  // MARK: Waiters

  /// Queues a waiter as the newest; returns its slot.
  mutating func append(_ waiter: Waiter) -> Int32 {
    backOrder += 1
    return insert(waiter, backOrder)
  }

  /// Queues a waiter as the oldest.
  mutating func prepend(_ waiter: Waiter) -> Int32 {
    frontOrder -= 1
    return insert(waiter, frontOrder)
  }

  private mutating func insert(_ waiter: Waiter, _ order: Int) -> Int32 {
    quietLeft = quietMax
    let id = account(of: waiter.client)
    let slot = freeSlots.popLast() ?? Int32(slots.count)
    let entry = Slot(
      waiter: waiter, isUpload: waiter.isUpload, since: waiter.since, account: id, order: order, previous: -1, next: -1)
    if Int(slot) == slots.count { slots.append(entry) } else { slots[Int(slot)] = entry }
    count += 1
    accounts[Int(id)].waiting += 1
    withList(of: slot) { list, slots in
      if order > 0 {
        slots[Int(slot)].previous = list.last
        if list.last >= 0 { slots[Int(list.last)].next = slot } else { list.first = slot }
        list.last = slot
      } else {
        slots[Int(slot)].next = list.first
        if list.first >= 0 { slots[Int(list.first)].previous = slot } else { list.last = slot }
        list.first = slot
      }
    }
    rank(id)
    return slot
  }

  /// The slot of the waiter to serve next; nil: none may be served.
  var next: Int32? {
    guard count > 0, let id = ranked.first else { return nil }
    return candidate(accounts[Int(id)])
  }

  /// When the waiter to serve next was queued.
  var nextSince: Int64? {
    guard let slot = next else { return nil }
    return slots[Int(slot)].since
  }

  /// Removes a waiter that gets a connection, and counts its lease; returns it with its client's account.
  mutating func serve(_ slot: Int32) -> (waiter: Waiter, account: Int32) {
    let id = slots[Int(slot)].account
    let waiter = unlink(slot)
    hold(id, waiter.isUpload)
    return (waiter, id)
  }

  mutating func remove(_ slot: Int32) -> Waiter {
    let id = slots[Int(slot)].account
    let waiter = unlink(slot)
    rank(id)
    releaseIfUnused(id)
    return waiter
  }

  /// The waiter to evict from a full queue in favor of `client`: the newest of the client with the most waiters,
  /// provided that this client afterwards still has at least as many as `client`; nil: none.
  mutating func slotToEvict(for client: UInt32) -> Int32? {
    keepLongest()
    guard let id = longest.first else { return nil }
    let own = lookup[client].map { accounts[Int($0)].waiting } ?? 0
    return own < accounts[Int(id)].waiting - 1 ? newest(accounts[Int(id)]) : nil
  }

  private mutating func keepLongest() {
    guard longestCountMin == .max else { return }
    longestCountMin = count - count / 4
    for id in accounts.indices where accounts[id].waiting > 0 { rankByLength(Int32(id)) }
  }

  // MARK: Details

  private mutating func unlink(_ slot: Int32) -> Waiter {
    withList(of: slot) { list, slots in
      let (previous, next) = (slots[Int(slot)].previous, slots[Int(slot)].next)
      if previous >= 0 { slots[Int(previous)].next = next } else { list.first = next }
      if next >= 0 { slots[Int(next)].previous = previous } else { list.last = previous }
    }
    guard let waiter = slots[Int(slot)].waiter.take() else { preconditionFailure("an empty slot") }
    accounts[Int(slots[Int(slot)].account)].waiting -= 1
    freeSlots.append(slot)
    count -= 1
    if count < longestCountMin, longestCountMin < .max {
      longest = RankedHeap()
      longestCountMin = .max
    }
    return waiter
  }

  @inline(__always)
  private mutating func withList(of slot: Int32, _ change: (inout WaiterList, inout [Slot]) -> Void) {
    let account = Int(slots[Int(slot)].account)
    if slots[Int(slot)].isUpload {
      change(&accounts[account].uploadRequests, &slots)
    } else {
      change(&accounts[account].requests, &slots)
    }
  }

  /// The oldest waiter of an account that may be served.
  private func candidate(_ account: Account) -> Int32? {
    let upload = account.uploads < share ? account.uploadRequests.first : -1
    let request = account.requests.first
    guard request >= 0, upload >= 0 else { return max(request, upload) >= 0 ? max(request, upload) : nil }
    return slots[Int(request)].order < slots[Int(upload)].order ? request : upload
  }

  private func newest(_ account: Account) -> Int32 {
    let (request, upload) = (account.requests.last, account.uploadRequests.last)
    guard request >= 0, upload >= 0 else { return max(request, upload) }
    return slots[Int(request)].order > slots[Int(upload)].order ? request : upload
  }

  /// Updates an account's place among the others.
  private mutating func rank(_ id: Int32) {
    let account = accounts[Int(id)]
    if let candidate = candidate(account) {
      ranked.set(id, to: Rank(level: account.held < share ? 0 : 1, order: slots[Int(candidate)].order))
    } else {
      ranked.remove(id)
    }
    guard longestCountMin < .max else { return }
    if account.waiting > 0 { rankByLength(id) } else { longest.remove(id) }
  }

  private mutating func rankByLength(_ id: Int32) {
    let account = accounts[Int(id)]
    longest.set(id, to: Rank(level: -account.waiting, order: -slots[Int(newest(account))].order))
  }

  private mutating func account(of client: UInt32) -> Int32 {
    if let id = lookup[client] {
      if accounts[Int(id)].isUnused { unusedCount -= 1 }
      return id
    }
    let id = freeAccounts.popLast() ?? Int32(accounts.count)
    let account = Account(client: client)
    if Int(id) == accounts.count { accounts.append(account) } else { accounts[Int(id)] = account }
    lookup[client] = id
    return id
  }

  /// Counts an account that is no longer used; drops all of these once they are the most.
  private mutating func releaseIfUnused(_ id: Int32) {
    guard accounts[Int(id)].isUnused else { return }
    unusedCount += 1
    guard unusedCount > lookup.count / 2 + 16 else { return }
    for (client, id) in lookup where accounts[Int(id)].isUnused {
      lookup[client] = nil
      freeAccounts.append(id)
    }
    unusedCount = 0
  }
}
