import Dispatch
import Glibc
import LoopSupport
import Reactor
import Synchronization
import System
import Testing

/// Records its events.
private final class RecordingHandler: EventHandler {
  var events: [Readiness] = []
  var passed = 0
  var scheduledCalls: [UInt8] = []
  var onReady: () -> Void = {}
  var onScheduledCall: () -> Void = {}
  var onFree: () -> Void = {}

  override func ready(_ readiness: Readiness) {
    events.append(readiness)
    onReady()
  }

  override func scheduledCall(for reason: UInt8) {
    scheduledCalls.append(reason)
    onScheduledCall()
  }

  override func deadlinePassed() { passed += 1 }

  deinit { onFree() }
}

@Suite struct EventLoopTests {
  @Test func `reports an edge once`() throws {
    let turns = try Turns()
    let pair = try SocketPair()
    let handler = RecordingHandler()
    let registration = turns.loop.register(handler)
    try turns.loop.watch(pair.near.number, for: registration)
    #expect(turns.run { handler.events == [.writable] })
    #expect(pair.far.send("x"))
    #expect(turns.run { handler.events.count == 2 })
    #expect(handler.events[1] == [.readable, .writable])
    turns.run(for: 30)
    #expect(handler.events.count == 2)
  }

  @Test func `drops an event of a registration that ended in the same turn`() throws {
    let turns = try Turns()
    let one = try SocketPair()
    let two = try SocketPair()
    let (first, second, successor) = (RecordingHandler(), RecordingHandler(), RecordingHandler())
    let registrations = (turns.loop.register(first), turns.loop.register(second))
    // The first to be called unregisters the other, whose event is in the same batch, and reuses its slot.
    let loop = turns.loop
    first.onReady = {
      loop.unregister(registrations.1)
      _ = loop.register(successor)
    }
    second.onReady = {
      loop.unregister(registrations.0)
      _ = loop.register(successor)
    }
    try turns.loop.watch(one.near.number, for: registrations.0)
    try turns.loop.watch(two.near.number, for: registrations.1)
    turns.run(for: 30)
    #expect(first.events.count + second.events.count == 1)
    #expect(successor.events.isEmpty)
  }

  @Test func `makes each scheduled call once in the next turn, and none after unregistering`() throws {
    let turns = try Turns()
    let (handler, ended) = (RecordingHandler(), RecordingHandler())
    let registration = turns.loop.register(handler)
    let gone = turns.loop.register(ended)
    turns.loop.scheduleNextTurn(registration, 7)
    turns.loop.scheduleNextTurn(gone, 8)
    turns.loop.unregister(gone)
    turns.run(for: 30)
    #expect(handler.scheduledCalls == [7] && handler.events.isEmpty && ended.scheduledCalls.isEmpty)
  }

  @Test func `a handler that keeps scheduling calls does not starve others`() throws {
    let turns = try Turns()
    let pair = try SocketPair()
    let (busy, other) = (RecordingHandler(), RecordingHandler())
    let registration = turns.loop.register(busy)
    let (loop, watched) = (turns.loop, turns.loop.register(other))
    busy.onScheduledCall = { loop.scheduleNextTurn(registration) }
    turns.loop.scheduleNextTurn(registration)
    try turns.loop.watch(pair.near.number, for: watched)
    turns.loop.setDeadline(turns.loop.now + 20, for: watched)
    #expect(turns.run { other.events.count == 1 && other.passed == 1 })
    #expect(busy.scheduledCalls.count > 10)
    busy.onScheduledCall = {}
  }

  @Test func `a deadline ends with its registration`() throws {
    let turns = try Turns()
    let (first, successor) = (RecordingHandler(), RecordingHandler())
    let registration = turns.loop.register(first)
    turns.loop.setDeadline(turns.loop.now + 10, for: registration)
    turns.loop.unregister(registration)
    let next = turns.loop.register(successor)
    turns.loop.setDeadline(turns.loop.now + 10, for: registration)
    turns.run(for: 50)
    #expect(first.passed == 0 && successor.passed == 0)
    turns.loop.setDeadline(turns.loop.now + 10, for: next)
    #expect(turns.run { successor.passed == 1 })
  }

  @Test func `a handler may unregister another while it is freed`() throws {
    let turns = try Turns()
    var freed = 0
    let loop = turns.loop
    var last: RecordingHandler? = RecordingHandler()
    last?.onFree = { freed += 1 }
    let lastRegistration = loop.register(try #require(last))
    var first: RecordingHandler? = RecordingHandler()
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

  @Test func `adopts a descriptor that another thread hands over, and closes it if it is not kept`() throws {
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

  /// One end of a pair, and the number of the other, which has no owner yet.
  private func halfOwned() throws -> (far: Peer, number: Int32) {
    let pair = try SocketPair()
    return (pair.far, fcntl(pair.near.number, F_DUPFD_CLOEXEC, 0))
  }
}
