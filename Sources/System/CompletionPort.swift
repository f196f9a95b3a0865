public import Synchronization

/// Identifies one pending result; stale once the result is delivered or the ticket withdrawn.
@usableFromInline
package struct Ticket: Equatable, Sendable {
  @usableFromInline let slot: UInt32
  /// Counts the uses of the slot.
  @usableFromInline let generation: UInt32

  @inlinable
  init(slot: UInt32, generation: UInt32) {
    self.slot = slot
    self.generation = generation
  }
}

/// Passes results from other threads to a loop: they are queued, and the loop is woken to take them.
///
/// Bound: one result per ticket of its port.
///
/// Inlined, like its port: unspecialized, they take 5,000 instructions per audited write.
@usableFromInline
package final class CompletionQueue<Result: Sendable>: Sendable {
  @usableFromInline
  package struct Completion: Sendable {
    @usableFromInline package let ticket: Ticket
    @usableFromInline package let result: Result

    @inlinable
    package init(_ ticket: Ticket, _ result: Result) {
      self.ticket = ticket
      self.result = result
    }
  }

  @usableFromInline let completions = Mutex<[Completion]>([])
  @usableFromInline let wakeLoop: @Sendable () -> Void

  /// - Parameter wakeLoop: called on the thread that completes.
  @inlinable
  package init(wakeLoop: @escaping @Sendable () -> Void) { self.wakeLoop = wakeLoop }

  @inlinable
  package func complete(_ ticket: Ticket, _ result: Result) { complete([Completion(ticket, result)]) }

  /// Queues a batch and wakes the loop once.
  @inlinable
  package func complete(_ batch: [Completion]) {
    guard !batch.isEmpty else { return }
    completions.withLock { $0 += batch }
    wakeLoop()
  }

  @inlinable
  func takeAll() -> [Completion] {
    completions.withLock { completions in
      // Most wake-ups of a loop have another cause.
      guard !completions.isEmpty else { return [] }
      defer { completions = [] }
      return completions
    }
  }
}

/// A loop's side of a completion queue: the waiters, by ticket. Confined to the loop.
///
/// Each ticket's result is delivered once, to the waiter that took it. A result for a withdrawn ticket is dropped, even
/// if its slot has been reused.
@usableFromInline
package final class CompletionPort<Waiter: AnyObject, Result: Sendable> {
  @usableFromInline
  struct Slot {
    @usableFromInline var waiter: Waiter?
    @usableFromInline var generation: UInt32 = 0

    @inlinable
    init() {}
  }

  @usableFromInline package let queue: CompletionQueue<Result>
  @usableFromInline var slots: [Slot] = []
  @usableFromInline var free: [UInt32] = []

  @inlinable
  package init(_ queue: CompletionQueue<Result>) { self.queue = queue }

  /// The number of waiters.
  package var count: Int { slots.count - free.count }

  /// Returns a ticket for `waiter`, which is retained until delivery or withdrawal.
  @inlinable
  package func ticket(for waiter: Waiter) -> Ticket {
    let slot = free.popLast() ?? newSlot()
    slots[Int(slot)].waiter = waiter
    return Ticket(slot: slot, generation: slots[Int(slot)].generation)
  }

  /// Drops the waiter of a ticket; a stale ticket has no effect.
  @inlinable
  package func withdraw(_ ticket: Ticket) { _ = take(ticket) }

  /// Delivers the queued results. Call it each time the loop is woken.
  @inlinable
  package func deliver(_ body: (Waiter, Result) -> Void) { deliver(takeAll(), body) }

  /// The queued results, to be delivered later.
  @inlinable
  package func takeAll() -> [CompletionQueue<Result>.Completion] { queue.takeAll() }

  /// Delivers results that were taken.
  @inlinable
  package func deliver(_ completions: [CompletionQueue<Result>.Completion], _ body: (Waiter, Result) -> Void) {
    for completion in completions {
      if let waiter = take(completion.ticket) { body(waiter, completion.result) }
    }
  }

  @inlinable
  func take(_ ticket: Ticket) -> Waiter? {
    let slot = Int(ticket.slot)
    guard slot < slots.count, slots[slot].generation == ticket.generation else { return nil }
    slots[slot].generation &+= 1
    free.append(ticket.slot)
    return slots[slot].waiter.take()
  }

  @inlinable
  func newSlot() -> UInt32 {
    slots.append(Slot())
    return UInt32(slots.count - 1)
  }
}
