import Dispatch
import Glibc
import LoopSupport
import Reactor
import Synchronization
import System
import Testing

/// Notes what it is told.
private final class Witness: EventHandler {
  var events: [Readiness] = []
  var passed = 0
  var wakeUps: [UInt8] = []
  var onReady: () -> Void = {}
  var onWakeUp: () -> Void = {}
  var onFree: () -> Void = {}

  override func ready(_ readiness: Readiness) {
    events.append(readiness)
    onReady()
  }

  override func wokenUp(for reason: UInt8) {
    wakeUps.append(reason)
    onWakeUp()
  }

  override func deadlinePassed() { passed += 1 }

  deinit { onFree() }
}

@Suite struct EventLoopTests {
  @Test func `tells an edge once`() throws {
    let turns = try Turns()
    let pair = try SocketPair()
    let witness = Witness()
    let registration = turns.loop.register(witness)
    try turns.loop.watch(pair.near.number, for: registration)
    #expect(turns.run { witness.events == [.writable] })
    #expect(pair.far.send("x"))
    #expect(turns.run { witness.events.count == 2 })
    #expect(witness.events[1] == [.readable, .writable])
    turns.run(for: 30)
    #expect(witness.events.count == 2)
  }

  @Test func `drops an event of a registration that has ended in the same turn`() throws {
    let turns = try Turns()
    let one = try SocketPair()
    let two = try SocketPair()
    let (first, second, heir) = (Witness(), Witness(), Witness())
    let registrations = (turns.loop.register(first), turns.loop.register(second))
    // Whoever comes first ends the other, whose event stands in the same batch, and gives its place away.
    let loop = turns.loop
    first.onReady = {
      loop.unregister(registrations.1)
      _ = loop.register(heir)
    }
    second.onReady = {
      loop.unregister(registrations.0)
      _ = loop.register(heir)
    }
    try turns.loop.watch(one.near.number, for: registrations.0)
    try turns.loop.watch(two.near.number, for: registrations.1)
    turns.run(for: 30)
    #expect(first.events.count + second.events.count == 1)
    #expect(heir.events.isEmpty)
  }

  @Test func `calls again in the next turn, once for each time it is asked, and never after the end`() throws {
    let turns = try Turns()
    let (witness, ended) = (Witness(), Witness())
    let registration = turns.loop.register(witness)
    let gone = turns.loop.register(ended)
    turns.loop.again(registration, 7)
    turns.loop.again(gone, 8)
    turns.loop.unregister(gone)
    turns.run(for: 30)
    #expect(witness.wakeUps == [7] && witness.events.isEmpty && ended.wakeUps.isEmpty)
  }

  @Test func `others get their turn while one asks again and again`() throws {
    let turns = try Turns()
    let pair = try SocketPair()
    let (busy, other) = (Witness(), Witness())
    let registration = turns.loop.register(busy)
    let (loop, watched) = (turns.loop, turns.loop.register(other))
    busy.onWakeUp = { loop.again(registration) }
    turns.loop.again(registration)
    try turns.loop.watch(pair.near.number, for: watched)
    turns.loop.setDeadline(turns.loop.now + 20, for: watched)
    #expect(turns.run { other.events.count == 1 && other.passed == 1 })
    #expect(busy.wakeUps.count > 10)
    busy.onWakeUp = {}
  }

  @Test func `a deadline goes with its registration`() throws {
    let turns = try Turns()
    let (first, heir) = (Witness(), Witness())
    let registration = turns.loop.register(first)
    turns.loop.setDeadline(turns.loop.now + 10, for: registration)
    turns.loop.unregister(registration)
    let next = turns.loop.register(heir)
    turns.loop.setDeadline(turns.loop.now + 10, for: registration)
    turns.run(for: 50)
    #expect(first.passed == 0 && heir.passed == 0)
    turns.loop.setDeadline(turns.loop.now + 10, for: next)
    #expect(turns.run { heir.passed == 1 })
  }

  @Test func `a handler may end another as it is freed itself`() throws {
    let turns = try Turns()
    var freed = 0
    let loop = turns.loop
    var last: Witness? = Witness()
    last?.onFree = { freed += 1 }
    let lastRegistration = loop.register(try #require(last))
    var first: Witness? = Witness()
    first?.onFree = {
      freed += 1
      loop.unregister(lastRegistration)
    }
    let firstRegistration = loop.register(try #require(first))
    first = nil
    last = nil
    loop.unregister(firstRegistration)
    #expect(freed == 0)
    #expect(turns.run { freed == 2 })
  }

  @Test func `wakes for another thread`() throws {
    let turns = try Turns()
    let handle = turns.loop.handle
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) { handle.wake() }
    #expect(turns.run { turns.wakes == 1 })
  }

  @Test func `adopts a descriptor that another thread hands over, and closes it when nobody wants it`() throws {
    let turns = try Turns()
    let (far, number) = try halfOwned()
    let handle = turns.loop.handle
    var adopted: Int32?
    var listener: Int?
    turns.onAdopted = { (adopted, listener) = ($0.number, $1) }
    DispatchQueue.global().async { try? handle.adopt(FileDescriptor(owning: number), from: 65_535) }
    #expect(turns.run { adopted != nil })
    #expect(adopted == number && listener == 65_535 && far.receive() == nil)
    let count = handle.connections.load(ordering: .relaxed)
    #expect(count == 1)
  }

  /// One end of a pair, and the number of the other, which belongs to nobody yet.
  private func halfOwned() throws -> (far: Peer, number: Int32) {
    let pair = try SocketPair()
    return (pair.far, fcntl(pair.near.number, F_DUPFD_CLOEXEC, 0))
  }
}
