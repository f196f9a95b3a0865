import Digests
import Foundation
import Glibc
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

  private func lock(_ parent: RunningJournal) throws -> FileDescriptor {
    FileDescriptor(owning: dup(try #require(parent.journal.lockNumber)))
  }

  private func openChild(
    _ folder: JournalFolder, of parent: RunningJournal, _ keys: InheritedKeys?, takesOver: Bool = true
  ) throws -> RunningJournal {
    let passed = try #require(keys)
    let bytes = passed.bytes
    let read = InheritedKeys(bytes.span)
    let keys = try #require(read)
    #expect(keys == passed)
    let child = try folder.open(JournalLock(folder.settings.folder, inherited: lock(parent)), keys)
    if takesOver { child.journal.takeOver() }
    return child
  }

  @Test func `the child takes all claims, and learns the outcomes of the parent's requests`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let passed = parent.journal.handOver()
    #expect(passed?.count == 4)
    // Between the two.
    #expect(parent.record(.notSent, flying[3]) == .durable)
    let child = try openChild(folder, of: parent, passed, takesOver: false)
    for journal in [parent, child] { #expect(journal.claim(unseen) == .unavailable(.handedOver)) }
    #expect(child.forget(stored) == .failed)
    child.journal.takeOver()
    #expect(parent.claim(unseen) == .unavailable(.handedOver))
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
    #expect(child.journal.state.inFlight == 3 && child.journal.state.unknown == 0)
    #expect(child.list(states: [.inFlight])?.keys.map(\.key).sorted() == ["flying 1", "flying 2", "flying 3"])
    #expect(child.list(states: [.unknown])?.keys.isEmpty == true)
    guard case .found(let shown) = child.show(flying[2]), shown.state == .inFlight else {
      Issue.record("the key is not shown as in flight")
      return
    }
    #expect(child.journal.hasPredecessor && child.journal.handOver() == nil)
    parent.stop()
    child.journal.predecessorEnded()
    child.settle()
    #expect(child.claim(again(flying[2])) == .unknown(12))
    #expect(child.journal.state.keys == 6 && child.journal.state.unknown == 1 && !child.journal.hasPredecessor)
    #expect(folder.reports.texts.last?.contains("3 have an outcome and 1 are unknown") == true)
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
    let child = try openChild(folder, of: parent, parent.journal.handOver())
    #expect(throws: JournalFault.inUse(folder.settings.folder)) { _ = try folder.open() }
    parent.close()
    #expect(throws: JournalFault.inUse(folder.settings.folder)) { _ = try folder.open() }
    child.close()
    try folder.open().close()
  }

  @Test func `the child follows the parent into a new segment`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let child = try openChild(folder, of: parent, parent.journal.handOver())
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

  @Test func `a claim whose record is missing stays in progress`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let handover = try #require(parent.journal.handOver())
    var keys = handover.bytes
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
    let child = try folder.open(JournalLock(folder.settings.folder, inherited: lock(parent)), inherited)
    child.journal.takeOver()
    #expect(child.claim(again(late)) == .inProgress)
    parent.stop()
    child.journal.predecessorEnded()
    child.settle()
    #expect(child.claim(again(late)) == .inProgress)
    #expect(child.journal.state.unknown == 4 && child.journal.state.inFlight == 1)
    guard case .found(let shown) = child.show(late) else {
      Issue.record("the key is not shown")
      return
    }
    #expect(shown.state == .unreadable && shown.key == "late")
    #expect(child.forget(late) == .inFlight)
    #expect(child.forget(instance: "instance") == .forgotten(5))
    // Also in the process after this one.
    let third = try openChild(folder, of: child, child.journal.handOver())
    #expect(third.claim(again(late)) == .inProgress)
    #expect(third.claim(again(stored)) == .durable)
  }

  @Test func `a pipe among the files stops neither process`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let child = try openChild(folder, of: parent, parent.journal.handOver())
    #expect(unsafe mkfifo(folder.path("pipe.keys"), 0o600) == 0)
    #expect(parent.record(.created("late"), flying[0]) == .durable)
    #expect(child.claim(again(flying[0])) == .inProgress)
    child.settle()
    #expect(child.claim(again(flying[0])) == .created("late", id: 10))
    child.stop()
    // The pipe may be another process's segment.
    #expect(!parent.journal.takeBack())
  }

  @Test func `the parent takes the claims back only if the child recorded nothing`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let first = try openChild(folder, of: parent, parent.journal.handOver())
    first.stop()
    // The parent continues in a new segment.
    folder.clocks.advance(seconds: 3_700)
    #expect(parent.record(.created("next hour"), flying[0]) == .durable)
    #expect(parent.journal.takeBack())
    #expect(parent.claim(KeyedWrite(key: "parent")) == .durable)
    let second = try openChild(folder, of: parent, parent.journal.handOver())
    #expect(second.claim(unseen) == .durable)
    second.stop()
    let other = KeyedWrite(key: "other")
    #expect(!parent.journal.takeBack())
    #expect(parent.claim(other) == .unavailable(.handedOver))
    // Another process can take over from both.
    let third = try openChild(folder, of: parent, parent.journal.handOver())
    #expect(third.claim(again(unseen)) == .unknown(1))
    #expect(third.claim(again(flying[1])) == .inProgress)
    #expect(third.claim(again(flying[0])) == .created("next hour", id: 10))
    #expect(third.claim(other) == .durable)
    #expect(parent.claim(other) == .unavailable(.handedOver))
  }

  @Test func `the parent takes the claims back while it makes a segment`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let child = try openChild(folder, of: parent, parent.journal.handOver(), takesOver: false)
    child.stop()
    folder.clocks.advance(seconds: 3_700)
    let (written, result) = (TestReports(), SharedResult<Bool>())
    folder.faults.set { [journal = parent.journal] step, name in
      guard step == .synchronize, name.hasSuffix(".keys") else { return nil }
      written.add(name)
      // After the header, and now after the first records.
      if written.texts.count == 2 { result.set(journal.takeBack()) }
      return nil
    }
    #expect(parent.record(.created("next hour"), flying[0]) == .durable)
    folder.faults.set(nil)
    #expect(result.wait() == true)
    #expect(parent.claim(unseen) == .durable)
  }

  @Test func `operators change nothing in the parent, and in the child no key in flight there`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let child = try openChild(folder, of: parent, parent.journal.handOver())
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
    let fault = #expect(throws: JournalFault.self) {
      _ = try JournalLock(folder.settings.folder, inherited: lock(parent))
    }
    #expect("\(try #require(fault))".contains("has its keys in another folder than \(folder.settings.folder)"))
  }

  /// Three claims, each in its own batch.
  private func claimedFile() throws -> (JournalFolder, path: String, bytes: [UInt8], batches: [Int]) {
    let folder = try JournalFolder()
    let running = try folder.open()
    for key in ["a", "b", "c"] { #expect(running.claim(KeyedWrite(key: key)) == .durable) }
    running.stop()
    let path = folder.path(try folder.names(".keys")[0])
    let bytes = try folder.bytes(path)
    #expect(bytes.batchOffsets.count == 3)
    return (folder, path, bytes, bytes.batchOffsets)
  }

  private func readGrowing(_ path: String, _ bytes: [UInt8], from start: Int) throws -> (offsets: [Int], end: Int) {
    try Data(bytes).write(to: URL(filePath: path))
    var reader = SegmentReader(
      try InputFile(path: path), path: path, byteCount: bytes.count, clockOffset: 0, durableBytes: nil, start: start,
      isGrowing: true)
    var offsets: [Int] = []
    try reader.forEach { _, _, offset, isWhole in
      #expect(isWhole)
      offsets.append(offset)
    }
    #expect(!reader.isCutOff)
    return (offsets, reader.wholeEnd)
  }

  @Test func `reads a file that grows without the last batch while it is being written`() throws {
    let (folder, path, all, batches) = try claimedFile()
    let records = batches.map { $0 + BatchHeader.byteCount }
    let dataEnd = try folder.written(path).count
    for missing in batches[2]..<dataEnd where all[missing] != 0 {
      for end in [missing + 1, dataEnd] {
        let found = try readGrowing(path, all.without(missing..<end), from: SegmentHeader.byteCount)
        #expect(found.offsets == Array(records[..<2]) && found.end == batches[2], "zeros from \(missing) to \(end)")
      }
      let found = try readGrowing(path, Array(all[..<missing]), from: SegmentHeader.byteCount)
      #expect(found.offsets == Array(records[..<2]) && found.end == batches[2], "cut at \(missing)")
    }
    #expect(try readGrowing(path, all, from: batches[2]).offsets == [records[2]])
    withExtendedLifetime(folder) {}
  }

  @Test func `rejects damage in a file that grows, unless it is in the last batch`() throws {
    let (folder, path, all, batches) = try claimedFile()
    defer { withExtendedLifetime(folder) {} }
    for index in batches[0]..<batches[2] where all[index] != 0 {
      let end = index < batches[1] ? batches[1] : batches[2]
      for bytes in [all.without(index..<index + 1), all.without(index..<end)] {
        #expect(throws: JournalFault.self, "byte \(index)") {
          _ = try readGrowing(path, bytes, from: SegmentHeader.byteCount)
        }
      }
    }
  }

  @Test func `keys of the parent that cannot be read stay claimed after its end`() throws {
    let folder = try JournalFolder()
    let parent = try openParent(folder)
    let keys = try #require(parent.journal.handOver())
    let path = folder.path(try folder.names(".keys")[0])
    let all = try folder.written(path)
    // The child starts before it can see the last claim, which is damaged later.
    let last = try #require(all.batchOffsets.last)
    try Data(all[..<last]).write(to: URL(filePath: path))
    let child = try openChild(folder, of: parent, keys)
    #expect(child.claim(again(flying[3])) == .inProgress)
    var damaged = all
    damaged[last + 60] ^= 1
    try Data(damaged).write(to: URL(filePath: path))
    parent.stop()
    child.journal.predecessorEnded()
    child.settle()
    #expect(child.claim(again(flying[3])) == .inProgress)
    for write in flying.prefix(3) { #expect(child.claim(again(write)) == .unknown(write.requestIDLow)) }
    #expect(folder.reports.texts.contains { $0.contains(path) && $0.contains("stay claimed") })
    #expect(folder.reports.texts.last?.contains("3 are unknown; the claims of 1 cannot be read") == true)
    child.stop()
    #expect(throws: JournalFault.self) { _ = try folder.open() }
  }
}
