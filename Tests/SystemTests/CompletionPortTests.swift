import Dispatch
import System
import Synchronization
import Testing

private final class Waiter {
  let name: String

  init(_ name: String) { self.name = name }
}

@Suite struct CompletionPortTests {
  /// Counts the wake-ups of the loop.
  private final class Wakes: Sendable {
    let count = Atomic<Int>(0)
  }

  private let wakes = Wakes()
  private let port: CompletionPort<Waiter, Int>

  init() {
    let wakes = wakes
    port = CompletionPort(CompletionQueue { wakes.count.add(1, ordering: .relaxed) })
  }

  private func delivered() -> [String] {
    var all: [String] = []
    port.deliver { waiter, result in all.append("\(waiter.name)=\(result)") }
    return all
  }

  @Test func `delivers each result once, to the waiter that took the ticket, in order of completion`() {
    let (a, b) = (port.ticket(for: Waiter("a")), port.ticket(for: Waiter("b")))
    port.queue.complete(b, 2)
    port.queue.complete(a, 1)
    #expect(wakes.count.load(ordering: .relaxed) == 2 && port.count == 2)
    #expect(delivered() == ["b=2", "a=1"])
    #expect(delivered().isEmpty && port.count == 0)
  }

  @Test func `wakes the loop once for a batch, and not for an empty one`() {
    let tickets = ["a", "b", "c"].map { port.ticket(for: Waiter($0)) }
    port.queue.complete(tickets.enumerated().map { CompletionQueue.Completion($1, $0) })
    port.queue.complete([])
    #expect(wakes.count.load(ordering: .relaxed) == 1)
    #expect(delivered() == ["a=0", "b=1", "c=2"])
  }

  @Test func `delivers results that were taken before, except those withdrawn meanwhile`() {
    let (kept, withdrawn) = (port.ticket(for: Waiter("kept")), port.ticket(for: Waiter("withdrawn")))
    port.queue.complete(withdrawn, 1)
    port.queue.complete(kept, 2)
    let taken = port.takeAll()
    port.withdraw(withdrawn)
    port.queue.complete(port.ticket(for: Waiter("later")), 3)
    var all: [String] = []
    port.deliver(taken) { waiter, result in all.append("\(waiter.name)=\(result)") }
    #expect(all == ["kept=2"])
    #expect(delivered() == ["later=3"])
  }

  @Test func `drops the result of a withdrawn ticket, even if its slot has been reused`() {
    let old = port.ticket(for: Waiter("old"))
    port.withdraw(old)
    let new = port.ticket(for: Waiter("new"))
    port.queue.complete(old, 1)
    #expect(delivered().isEmpty && port.count == 1)
    port.withdraw(old)
    port.queue.complete(new, 2)
    port.queue.complete(new, 3)
    #expect(delivered() == ["new=2"])
  }

  @Test func `a waiter may take another ticket, or withdraw one, while results are delivered`() {
    let (a, b) = (port.ticket(for: Waiter("a")), port.ticket(for: Waiter("b")))
    port.queue.complete([CompletionQueue.Completion(a, 1), CompletionQueue.Completion(b, 2)])
    var all: [String] = []
    port.deliver { waiter, result in
      all.append("\(waiter.name)=\(result)")
      port.withdraw(b)
      _ = port.ticket(for: Waiter("c"))
    }
    #expect(all == ["a=1"] && port.count == 1)
  }

  @Test func `retains its waiter until the result is delivered, and no longer`() {
    weak var waiter: Waiter?
    let ticket: Ticket
    do {
      let strong = Waiter("a")
      waiter = strong
      ticket = port.ticket(for: strong)
    }
    #expect(waiter != nil)
    port.queue.complete(ticket, 1)
    #expect(delivered() == ["a=1"])
    #expect(waiter == nil)
  }

  @Test func `threads complete while the loop takes and withdraws: each ticket ends once`() {
    let queue = port.queue
    var settled = 0
    var withdrawn = 0
    for round in 0..<200 {
      let tickets = (0..<8).map { port.ticket(for: Waiter("\(round).\($0)")) }
      let group = DispatchGroup()
      for ticket in tickets {
        DispatchQueue.global().async(group: group) { queue.complete(ticket, 1) }
      }
      let before = port.count
      port.withdraw(tickets[round % 8])
      withdrawn += before - port.count
      port.deliver { _, _ in settled += 1 }
      group.wait()
      port.deliver { _, _ in settled += 1 }
      #expect(port.count == 0)
    }
    #expect(settled + withdrawn == 1_600)
  }
}
