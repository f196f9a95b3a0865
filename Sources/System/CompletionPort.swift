import Synchronization

/// Names one thing that a loop waits for; stale once it was delivered or withdrawn.
package struct Ticket: Equatable, Sendable {
  let slot: UInt32
  /// Counts the uses of the slot.
  let generation: UInt32
}

/// How threads answer a loop: results pile up here, and the loop is woken to take them.
///
/// Bound: one result for each ticket of its port.
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

  /// Hands over a batch, and wakes the loop once.
  package func complete(_ batch: [Completion]) {
    guard !batch.isEmpty else { return }
    completions.withLock { $0 += batch }
    wakeLoop()
  }

  fileprivate func takeAll() -> [Completion] {
    completions.withLock { completions in
      // Most wake-ups of a loop are for something else.
      guard !completions.isEmpty else { return [] }
      defer { completions = [] }
      return completions
    }
  }
}

/// A loop's side of a completion queue: who waits, by ticket. Confined to the loop.
///
/// A ticket is delivered once, to whoever took it; what comes for one that was withdrawn is dropped, even where its slot
/// was taken anew meanwhile.
package final class CompletionPort<Waiter: AnyObject, Result: Sendable> {
  private struct Slot {
    var waiter: Waiter?
    var generation: UInt32 = 0
  }

  package let queue: CompletionQueue<Result>
  private var slots: [Slot] = []
  private var free: [UInt32] = []

  package init(_ queue: CompletionQueue<Result>) { self.queue = queue }

  /// How many wait.
  package var count: Int { slots.count - free.count }

  /// A ticket for `waiter`, which is held until it is delivered or withdrawn.
  package func ticket(for waiter: Waiter) -> Ticket {
    let slot = free.popLast() ?? newSlot()
    slots[Int(slot)].waiter = waiter
    return Ticket(slot: slot, generation: slots[Int(slot)].generation)
  }

  /// The waiter waits no longer; a ticket that is stale already changes nothing.
  package func withdraw(_ ticket: Ticket) { _ = take(ticket) }

  /// Delivers what has come; to be called each time the loop is woken.
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
