import Digests
import Foundation
import System
import TestFolders
import Testing

@testable import Journal

/// Two processes at an upgrade, in one: both use the folder, with duplicates of one lock.
@Suite struct HandoverTests {
  private let stored = KeyedWrite(key: "stored")
  private let flying = (0..<4).map { KeyedWrite(key: "flying \($0)", id: UInt64($0 + 10)) }
  private let unseen = KeyedWrite(key: "unseen")

  private func again(_ write: KeyedWrite) -> KeyedWrite { KeyedWrite(key: write.key, id: 99) }

  private func openParent(_ folder: JournalFolder) throws -> RunningJournal {
    let parent = try folder.open()
    #expect(parent.claim(stored) == .durable)
    #expect(parent.record(.created("x"), stored) == .durable)
    for write in flying { #expect(parent.claim(write) == .durable) }
    return parent
  }

  private func openChild(_ folder: JournalFolder, _ handover: JournalHandover) throws -> RunningJournal {
    let bytes = handover.keys.bytes
    let read = InheritedKeys(bytes.span)
    let keys = try #require(read)
    #expect(keys == handover.keys)
    let descriptor = FileDescriptor(owning: dup(handover.lock.number))
    return try folder.open(JournalLock(folder.settings.folder, inherited: descriptor), keys)
  }

  @Test func `the child takes all claims, and learns the outcomes of the parent's requests`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    var passed = parent.journal.handOver()
    let handover = try #require(passed).keys
    #expect(handover.count == 4)
    #expect(parent.journal.handOver() == nil)
    // Between the two.
    #expect(parent.record(.notSent, flying[3]) == .durable)
    let child = try openChild(folder, try #require(passed))
    passed = nil
    #expect(parent.claim(unseen) == .unavailable(.cannotWrite))
    #expect(parent.claim(again(stored)) == .created("x"))
    #expect(child.claim(again(stored)) == .created("x"))
    #expect(child.claim(unseen) == .durable)
    #expect(child.record(.created("child"), unseen) == .durable)
    #expect(child.claim(again(flying[3])) == .durable)
    for write in flying.prefix(3) {
      #expect(child.claim(again(write)) == .inProgress)
      #expect(child.claim(KeyedWrite(key: write.key, body: 5)) == .reused)
    }
    // Each of these claims makes the child read what the parent has written.
    child.settle()
    #expect(parent.record(.created("late"), flying[0]) == .durable)
    #expect(parent.record(.notSent, flying[1]) == .durable)
    #expect(child.claim(again(flying[0])) == .inProgress)
    child.settle()
    #expect(child.claim(again(flying[0])) == .created("late", id: 10))
    #expect(child.claim(again(flying[1])) == .durable)
    #expect(child.claim(again(flying[2])) == .inProgress)
    parent.stop()
    child.journal.predecessorEnded()
    child.settle()
    #expect(child.claim(again(flying[2])) == .unknown(12))
    #expect(child.journal.state.keys == 6)
    child.stop()
    let third = try folder.open()
    #expect(third.claim(again(flying[0])) == .created("late", id: 10))
    #expect(third.claim(again(flying[1])) == .unknown(99))
    #expect(third.claim(again(flying[2])) == .unknown(12))
    #expect(third.claim(again(unseen)) == .created("child"))
  }

  @Test func `the lock is held until both have ended`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let child = try {
      let handover = try #require(parent.journal.handOver())
      return try openChild(folder, handover)
    }()
    #expect(throws: JournalFault.inUse(folder.settings.folder)) { _ = try folder.open() }
    parent.close()
    #expect(throws: JournalFault.inUse(folder.settings.folder)) { _ = try folder.open() }
    child.close()
    try folder.open().close()
  }

  @Test func `the child follows the parent into a new segment`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let child = try openChild(folder, try #require(parent.journal.handOver()))
    folder.clocks.advance(seconds: 3_700)
    #expect(parent.record(.created("next hour"), flying[0]) == .durable)
    #expect(try folder.names(".keys").count == 3)
    #expect(child.claim(again(flying[0])) == .inProgress)
    child.settle()
    #expect(child.claim(again(flying[0])) == .created("next hour", id: 10))
    // While both run, nothing expires.
    folder.clocks.advance(seconds: 200_000)
    parent.settle()
    child.settle()
    #expect(try folder.names(".keys").count == 3)
    #expect(parent.record(.created("days later"), flying[1]) == .durable)
    parent.stop()
    child.journal.predecessorEnded()
    child.settle()
    #expect(child.claim(again(flying[1])) == .created("days later", id: 11))
    folder.clocks.advance(seconds: 61)
    child.settle()
    #expect(try folder.names(".keys").count < 4)
    #expect(child.claim(again(flying[2])) == .unknown(12))
    #expect(child.claim(again(flying[0])) == .durable, "expired")
  }

  @Test func `a claim that was not on disk at the handover is in progress, and free if it failed`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let handover = try #require(parent.journal.handOver())
    // As if it had been accepted just before.
    var keys = handover.keys.bytes
    let late = KeyedWrite(key: "late", id: 50)
    keys.append(late.digest)
    keys.append(late.fingerprint)
    keys.append(littleEndian: late.requestIDHigh)
    keys.append(littleEndian: late.requestIDLow)
    var crc = CRC32C()
    crc.update(keys.span.extracting(12...))
    crc.update(keys.span.extracting(..<8))
    keys.set(littleEndian: crc.value, at: 8)
    let read = InheritedKeys(keys.span)
    let inherited = try #require(read)
    let descriptor = FileDescriptor(owning: dup(handover.lock.number))
    let child = try folder.open(JournalLock(folder.settings.folder, inherited: descriptor), inherited)
    #expect(child.claim(again(late)) == .inProgress)
    parent.stop()
    child.journal.predecessorEnded()
    child.settle()
    #expect(child.claim(again(late)) == .durable)
  }

  @Test func `the parent takes the claims back only if the child recorded nothing`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let first = try openChild(folder, try #require(parent.journal.handOver()))
    first.stop()
    #expect(parent.journal.takeBack())
    #expect(parent.claim(KeyedWrite(key: "parent")) == .durable)
    let second = try openChild(folder, try #require(parent.journal.handOver()))
    #expect(second.claim(unseen) == .durable)
    second.stop()
    #expect(!parent.journal.takeBack())
    #expect(parent.claim(KeyedWrite(key: "other")) == .unavailable(.cannotWrite))
  }

  @Test func `operators change nothing in the parent, and in the child no key in flight there`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let child = try openChild(folder, try #require(parent.journal.handOver()))
    #expect(child.forget(flying[0]) == .inFlight)
    #expect(child.resolve(flying[0], .notDone) == .inFlight)
    #expect(child.forget(instance: "instance") == .inFlight)
    #expect(child.journal.handOver() == nil)
    #expect(child.forget(stored) == .forgotten(1))
    child.journal.predecessorEnded()
    #expect(child.resolve(flying[0], .notDone) == .resolved)
    #expect(child.forget(instance: "instance") == .forgotten(3))
    #expect(parent.forget(stored) == .failed)
    #expect(parent.forget(instance: "instance") == .failed)
  }

  @Test func `every changed or cut list of keys is rejected`() throws {
    let keys = InheritedKeys(writer: 7, [unseen.digest: InheritedKeys.Key(unseen)])
    let bytes = keys.bytes
    #expect(InheritedKeys(bytes.span) == keys)
    for index in bytes.indices {
      #expect(InheritedKeys(bytes.span.extracting(..<index)) == nil)
      var changed = bytes
      changed[index] ^= 4
      #expect(InheritedKeys(changed.span) == nil, "byte \(index)")
    }
  }

  @Test func `a lock of another folder is not accepted`() throws {
    let folder = try JournalFolder()
    let other = try JournalFolder()
    let parent = try other.open()
    try folder.open().close()
    let handover = try #require(parent.journal.handOver())
    let number = dup(handover.lock.number)
    #expect(throws: JournalFault.inUse(folder.settings.folder)) {
      _ = try JournalLock(folder.settings.folder, inherited: FileDescriptor(owning: number))
    }
  }
}
