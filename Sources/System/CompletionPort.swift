import Synchronization

/// Identifies one pending result; stale once the result is delivered or the ticket withdrawn.
package struct Ticket: Equatable, Sendable {
  let slot: UInt32
  /// Counts the uses of the slot.
  let generation: UInt32
}

/// Passes results from other threads to a loop: they are queued, and the loop is woken to take them.
///
/// Bound: one result per ticket of its port.
package final class CompletionQueue<Result: Sendable>: Sendable {
  package struct Completion: Sendable {
    package let ticket: Ticket
    package let result: Result

    package init(_ ticket: Ticket, _ result: Result) {
      self.ticket = ticket
      self.result = result
    }
  }

  private let completions = Mutex<[Completion]>([])
  private let wakeLoop: @Sendable () -> Void

  /// - Parameter wakeLoop: called on the thread that completes.
  package init(wakeLoop: @escaping @Sendable () -> Void) { self.wakeLoop = wakeLoop }

  package func complete(_ ticket: Ticket, _ result: Result) { complete([Completion(ticket, result)]) }

  /// Queues a batch and wakes the loop once.
  package func complete(_ batch: [Completion]) {
    guard !batch.isEmpty else { return }
    completions.withLock { $0 += batch }
    wakeLoop()
  }

  fileprivate func takeAll() -> [Completion] {
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
package final class CompletionPort<Waiter: AnyObject, Result: Sendable> {
  private struct Slot {
    var waiter: Waiter?
    var generation: UInt32 = 0
  }

  package let queue: CompletionQueue<Result>
  private var slots: [Slot] = []
  private var free: [UInt32] = []

  package init(_ queue: CompletionQueue<Result>) { self.queue = queue }

  /// The number of waiters.
  package var count: Int { slots.count - free.count }

  /// Returns a ticket for `waiter`, which is retained until delivery or withdrawal.
  package func ticket(for waiter: Waiter) -> Ticket {
    let slot = free.popLast() ?? newSlot()
    slots[Int(slot)].waiter = waiter
    return Ticket(slot: slot, generation: slots[Int(slot)].generation)
  }

  /// Drops the waiter of a ticket; a stale ticket has no effect.
  package func withdraw(_ ticket: Ticket) { _ = take(ticket) }

  /// Delivers the queued results. Call it each time the loop is woken.
  package func deliver(_ body: (Waiter, Result) -> Void) {
    for completion in queue.takeAll() {
      if let waiter = take(completion.ticket) { body(waiter, completion.result) }
    }
  }

  private func take(_ ticket: Ticket) -> Waiter? {
    let slot = Int(ticket.slot)
    guard slot < slots.count, slots[slot].generation == ticket.generation else { return nil }
    slots[slot].generation &+= 1
    free.append(ticket.slot)
    return slots[slot].waiter.take()
  }

  private func newSlot() -> UInt32 {
    slots.append(Slot())
    return UInt32(slots.count - 1)
  }
}
