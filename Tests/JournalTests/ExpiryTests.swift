import Foundation
import System
import TestFolders
import Testing

@testable import Journal

@Suite struct ExpiryTests {
  private static let ttl = 7_200
  private let stored = KeyedWrite(key: "stored")
  private let unknown = KeyedWrite(key: "unknown", id: 5)
  private let other = KeyedWrite(key: "other")

  /// A journal with a stored key and an unknown one.
  private func open() throws -> (JournalFolder, RunningJournal) {
    let folder = try JournalFolder(ttlSeconds: Self.ttl)
    let running = try folder.open()
    fill(running)
    return (folder, running)
  }

  private func fill(_ running: RunningJournal) {
    #expect(running.claim(stored) == .durable)
    #expect(running.claim(unknown) == .durable)
    #expect(running.record(.created("x"), stored) == .durable)
    running.channel.abandon(unknown)
  }

  private func isStored(_ running: RunningJournal) -> Bool {
    running.settle()
    guard case .found(let key)? = running.show(stored) else { return false }
    return key.state == .stored
  }

  private func advance(_ folder: JournalFolder, _ running: RunningJournal, _ seconds: Int) {
    folder.clocks.advance(seconds: seconds)
    running.settle()
  }

  @Test func `forgets a key after the TTL, never before, and removes its files`() throws {
    let (folder, running) = try open()
    advance(folder, running, Self.ttl - 1)
    #expect(isStored(running))
    advance(folder, running, 62)
    #expect(!isStored(running))
    running.settle()
    #expect(try folder.names(".keys").count == 1)
    #expect(try folder.names(".bodies").count == 1)
    #expect(running.claim(stored) == .durable)
    #expect(running.claim(unknown) == .unknown(5))
    running.stop()
    #expect(try folder.open().claim(unknown) == .unknown(5))
  }

  @Test func `keeps a key for the TTL after its outcome, in a later segment than its claim`() throws {
    let (folder, running) = try open()
    #expect(running.claim(other) == .durable)
    advance(folder, running, 4_000)
    #expect(running.record(.created("later"), other) == .durable)
    #expect(try folder.names(".keys").count == 2)
    advance(folder, running, 4_000)
    #expect(!isStored(running))
    #expect(running.claim(other) == .created("later"))
    running.stop()
    // The claim's segment is gone.
    #expect(try folder.names(".keys").count == 2)
    let second = try folder.open()
    #expect(second.claim(other) == .created("later"))
    advance(folder, second, 4_000)
    #expect(second.claim(other) == .durable)
  }

  @Test func `an unknown key lives until it is resolved, over any number of segments`() throws {
    let folder = try JournalFolder(ttlSeconds: Self.ttl)
    var running = try folder.open()
    fill(running)
    for generation in 0..<6 {
      advance(folder, running, Self.ttl + 61)
      running.settle()
      #expect(running.claim(unknown) == .unknown(5), "generation \(generation)")
      #expect(try folder.names(".keys").count == 1)
      #expect(running.journal.state.unknown == 1)
      guard generation % 2 == 1 else { continue }
      running.stop()
      running = try folder.open()
      #expect(running.claim(unknown) == .unknown(5), "generation \(generation)")
    }
    guard case .found(let key)? = running.show(unknown) else { return #expect(Bool(false)) }
    #expect(key.wallMicroseconds == 1_800_000_000_000_000, "the time of the claim")
    #expect(running.resolve(unknown, .notDone, minimumAge: 6 * Self.ttl) == .resolved)
    advance(folder, running, 1)
    #expect(running.claim(unknown) == .durable)
  }

  @Test func `a claim in flight is carried forward too`() throws {
    let (folder, running) = try open()
    #expect(running.claim(other) == .durable)
    for _ in 0..<3 {
      advance(folder, running, Self.ttl + 61)
      #expect(running.claim(other) == .inProgress)
    }
    #expect(try folder.names(".keys").count == 1)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(other) == .unknown(1))
    #expect(second.resolve(other, .done(status: 201)) == .resolved)
    #expect(second.claim(other) == .notKept(status: 201, 1))
  }

  @Test func `nothing is removed that cannot be carried forward`() throws {
    let (folder, running) = try open()
    folder.clocks.advance(seconds: Self.ttl + 61)
    folder.faults.fail(.append, ".keys")
    running.settle()
    #expect(running.claim(unknown) == .unknown(5))
    #expect(isStored(running))
    #expect(try folder.names(".keys").count == 1)
    folder.faults.set(nil)
    advance(folder, running, 61)
    for _ in 0..<200 where !running.journal.state.canWrite { Thread.sleep(forTimeInterval: 0.02) }
    advance(folder, running, 61)
    #expect(!isStored(running))
    #expect(running.claim(unknown) == .unknown(5))
    running.stop()
    #expect(try folder.open().claim(unknown) == .unknown(5))
  }

  @Test func `a segment whose unknown keys cannot be read stays`() throws {
    let (folder, running) = try open()
    let first = try folder.names(".keys")[0]
    advance(folder, running, 3_700)
    #expect(running.claim(other) == .durable)
    folder.faults.fail(.read, ".keys")
    advance(folder, running, 3_700)
    #expect(try folder.names(".keys").count == 2)
    #expect(folder.reports.texts.contains { $0.contains("stays beyond the TTL") })
    #expect(running.claim(unknown) == .unreadable)
    folder.faults.set(nil)
    advance(folder, running, 61)
    running.settle()
    #expect(try !folder.names(".keys").contains(first))
    #expect(running.claim(unknown) == .unknown(5))
  }

  @Test(arguments: [400 * 86_400, -400 * 86_400])
  func `a wall clock that jumps expires nothing early, and nothing late`(seconds: Int) throws {
    let (folder, running) = try open()
    folder.clocks.setWall(forwardBy: seconds)
    advance(folder, running, Self.ttl - 70)
    #expect(isStored(running))
    #expect(running.claim(other) == .durable)
    running.stop()
    // In a later process of the same boot.
    let second = try folder.open()
    advance(folder, second, 61)
    #expect(isStored(second))
    advance(folder, second, 120)
    #expect(!isStored(second))
  }

  @Test(arguments: [0, 400 * 86_400, -400 * 86_400])
  func `after a restart of the system, a wrong wall clock expires nothing before the TTL`(jump: Int) throws {
    let (folder, running) = try open()
    running.stop()
    folder.clocks.advance(seconds: 60)
    folder.clocks.restartSystem()
    folder.clocks.setWall(forwardBy: jump)
    let second = try folder.open()
    #expect(isStored(second))
    // The clock is set right within ten minutes.
    advance(folder, second, 300)
    #expect(isStored(second))
    folder.clocks.setWall(forwardBy: -jump)
    advance(folder, second, 61)
    #expect(isStored(second))
    // It jumps again, later.
    folder.clocks.setWall(forwardBy: 400 * 86_400)
    advance(folder, second, 600)
    #expect(isStored(second))
    advance(folder, second, Self.ttl - 60 - 961 - 10)
    #expect(isStored(second), "just before the TTL")
    // With a clock that was behind, the age at the start counts as 0.
    advance(folder, second, 10 + 61 + (jump < 0 ? 60 : 0))
    #expect(!isStored(second))
    #expect(second.claim(unknown) == .unknown(5))
  }

  @Test func `removes nothing of another boot in the first ten minutes`() throws {
    let (folder, running) = try open()
    running.stop()
    folder.clocks.restartSystem()
    folder.clocks.setWall(forwardBy: 86_400)
    let second = try folder.open()
    #expect(isStored(second))
    advance(folder, second, 599)
    #expect(isStored(second))
    advance(folder, second, 61)
    #expect(!isStored(second))
  }

  @Test func `without the boot's id, ages are by the wall clock`() throws {
    let ages = { (clocks: JournalClocks) in JournalAges(clocks) }
    let clocks = JournalClocks(wallMicroseconds: { 50_000_000 }, bootMicroseconds: { 9_000_000_000 }, boot: BootID())
    #expect(ages(clocks).age(of: 10_000_000, 8_999_000_000, in: BootID()) == nil)
    #expect(
      BootID(Array("f3a1c0de-0000-4000-8000-00000000000a\n".utf8))
        == BootID(high: 0xf3a1_c0de_0000_4000, low: 0x8000_0000_0000_000a))
    #expect(BootID(Array("?".utf8)) == BootID())
  }

  @Test func `removes an old release only after the claim that it frees`() throws {
    let (folder, running) = try open()
    #expect(running.claim(other) == .durable)
    advance(folder, running, 3_700)
    #expect(running.record(.notSent, other) == .durable)
    advance(folder, running, 3_700)
    running.stop()
    #expect(try folder.open().claim(other) == .durable)
  }
}
