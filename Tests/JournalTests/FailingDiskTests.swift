import Dispatch
import Foundation
import System
import TestFolders
import Testing

@testable import Journal

@Suite struct FailingDiskTests {
  private let known = KeyedWrite(key: "known")
  private let first = KeyedWrite(key: "a")
  private let other = KeyedWrite(key: "b")

  private func open() throws -> (JournalFolder, RunningJournal) {
    let folder = try JournalFolder()
    let running = try folder.open()
    #expect(running.claim(known) == .durable)
    #expect(running.record(.created("known"), known) == .durable)
    return (folder, running)
  }

  /// Waits until keys can be claimed again, which is tried once a second.
  private func recovers(_ running: RunningJournal) -> Bool {
    for _ in 0..<1_000 where !running.journal.state.canWrite { Thread.sleep(forTimeInterval: 0.01) }
    return running.journal.state.canWrite
  }

  private static let faults: [(JournalFaults.Step, Int)] = [
    (.append, 0), (.append, 30), (.append, 100), (.synchronize, 0),
  ]

  @Test(arguments: 0..<4)
  func `a claim that may not be durable does not count, and known keys still answer`(number: Int) throws {
    let (folder, running) = try open()
    let (step, written) = Self.faults[number]
    // Neither the segment in use nor a new one can be written.
    folder.faults.set { other, name in
      other == step && name.hasSuffix(".keys") ? JournalFaults.Fault(error: .inputOutput, written: written) : nil
    }
    #expect(running.claim(first) == .failed)
    #expect(running.claim(first) == .unavailable(.cannotWrite))
    #expect(running.claim(known) == .created("known"))
    #expect(running.journal.state.keys == 1)
    #expect(running.journal.state.failures > 0)
    #expect(running.journal.state.lastFault == Errno.inputOutput.description)
    let text = folder.reports.texts.last ?? ""
    #expect(text.contains("cannot write to \(folder.settings.folder)") && text.contains("503"), "\(text)")
    folder.faults.set(nil)
    #expect(recovers(running))
    #expect(running.claim(first) == .durable)
    #expect(running.record(.created("second try"), first) == .durable)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(first) == .created("second try"))
    #expect(second.claim(known) == .created("known"))
  }

  @Test(arguments: 0..<4, [".keys", ".bodies"])
  func `an outcome that may not be durable leaves the key unknown`(number: Int, ending: String) throws {
    // Too long for its record, so that both files are written.
    let lost = String(repeating: "lost", count: 300)
    let (folder, running) = try open()
    #expect(running.claim(first) == .durable)
    #expect(running.claim(other) == .durable)
    let (step, written) = Self.faults[number]
    folder.faults.fail(step, ending, Errno(ENOSPC), written: written)
    #expect(running.record(.created(lost), first) == .failed)
    #expect(running.claim(first) == .unknown(1))
    // Not accepted while nothing can be written.
    if !running.journal.state.canWrite {
      #expect(running.record(.created(lost), other) == nil)
      #expect(running.claim(other) == .unknown(1))
    }
    folder.faults.set(nil)
    #expect(recovers(running))
    #expect(running.claim(first) == .unknown(1))
    running.stop()
    // The new segment says what of the old one is durable.
    let second = try folder.open()
    #expect(second.claim(first) == .unknown(1))
    #expect(second.claim(known) == .created("known"))
  }

  @Test(arguments: 0..<4)
  func `after a crash that follows a failed outcome, the key is unknown or has its response`(number: Int) throws {
    let (folder, running) = try open()
    #expect(running.claim(first) == .durable)
    let (step, written) = Self.faults[number]
    folder.faults.fail(step, ".keys", written: written)
    #expect(running.record(.created("perhaps"), first) == .failed)
    running.stop()
    folder.faults.set(nil)
    let second = try folder.open()
    #expect([.unknown(1), .created("perhaps")].contains(second.claim(first)))
    #expect(second.claim(known) == .created("known"))
  }

  @Test func `a release that may not be durable frees the key in this process`() throws {
    let (folder, running) = try open()
    #expect(running.claim(first) == .durable)
    #expect(running.claim(other) == .durable)
    folder.faults.fail(.synchronize)
    #expect(running.record(.notSent, first) == .failed)
    #expect(running.record(.notSent, other) == nil)
    folder.faults.set(nil)
    #expect(recovers(running))
    #expect(running.journal.state.keys == 1)
    let again = KeyedWrite(key: "a", id: 2)
    #expect(running.claim(again) == .durable)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(again) == .unknown(2))
    #expect(second.claim(other) == .unknown(1))
  }

  @Test func `claims and outcomes after a fault are in a new segment, and the old one is never written again`() throws {
    let (folder, running) = try open()
    #expect(running.claim(first) == .durable)
    folder.faults.fail(.synchronize, ".keys")
    #expect(running.claim(other) == .failed)
    let abandoned = try folder.names(".keys")[0]
    let size = try FileStatus(path: folder.path(abandoned)).byteCount
    folder.faults.set(nil)
    #expect(recovers(running))
    #expect(running.record(.created("later"), first) == .durable)
    #expect(running.claim(other) == .durable)
    #expect(try folder.names(".keys").count == 2)
    #expect(try FileStatus(path: folder.path(abandoned)).byteCount == size)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(first) == .created("later"))
    #expect(second.claim(other) == .unknown(1))
  }

  /// The removal of a new segment may not be durable when the system stops.
  @Test(arguments: [JournalFaults.Step.synchronize, .synchronizeFolder])
  func `once the header of a new segment may be on disk, the old one is not written`(step: JournalFaults.Step) throws {
    let (folder, running) = try open()
    let old = try folder.names(".keys")[0]
    folder.clocks.advance(seconds: 3_601)
    let left = SharedResult<(path: String, bytes: Data)>()
    folder.faults.set { [paths = folder.settings.folder] other, name in
      guard other == step else { return nil }
      for found in (try? SharedFolder(paths).entries()) ?? [] where found.hasSuffix(".keys") && found != old {
        let path = "\(paths)/\(found)"
        if let bytes = try? Data(contentsOf: URL(filePath: path)) { left.set((path, bytes)) }
      }
      return JournalFaults.Fault(error: .inputOutput)
    }
    #expect(running.claim(first) == .failed)
    let (path, bytes) = try #require(left.wait())
    #expect(bytes.count == SegmentHeader.byteCount && !running.journal.state.canWrite)
    // The next segment gets another name.
    folder.clocks.advance(seconds: 1)
    folder.faults.set(nil)
    #expect(recovers(running))
    #expect(running.claim(other) == .durable)
    running.stop()
    try bytes.write(to: URL(filePath: path))
    let second = try folder.open()
    #expect(second.claim(other) == .unknown(1))
    #expect(second.claim(known) == .created("known"))
  }

  @Test func `without space for zeros, writes continue`() throws {
    let folder = try JournalFolder()
    folder.faults.fail(.writeZeros, "", Errno(ENOSPC))
    let running = try folder.open()
    let keys = folder.path(try folder.names(".keys")[0])
    for number in 0..<20 {
      #expect(running.claim(KeyedWrite(key: "\(number)")) == .durable)
      #expect(try FileStatus(path: keys).byteCount == folder.written(keys).count)
    }
    folder.faults.set(nil)
    #expect(running.claim(KeyedWrite(key: "last")) == .durable)
    #expect(try FileStatus(path: keys).byteCount == folder.written(keys).count + 16 << 10)
    #expect(!folder.reports.texts.contains { $0.contains("cannot write") })
    running.stop()
    let second = try folder.open()
    for key in (0..<20).map(String.init) + ["last"] { #expect(second.claim(KeyedWrite(key: key)) == .unknown(1)) }
  }

  @Test func `a damaged part that was not durable when its file was abandoned is ignored`() throws {
    let (folder, running) = try open()
    let durable = try folder.written(folder.path(try folder.names(".keys")[0])).count
    folder.faults.fail(.synchronize, ".keys")
    #expect(running.claim(first) == .failed)
    folder.faults.set(nil)
    #expect(recovers(running))
    #expect(running.claim(other) == .durable)
    running.stop()
    let path = folder.path(try folder.names(".keys")[0])
    var bytes = Array(try Data(contentsOf: URL(filePath: path)))
    for index in durable..<bytes.count { bytes[index] ^= 0x55 }
    try Data(bytes).write(to: URL(filePath: path))
    let second = try folder.open()
    #expect(second.claim(known) == .created("known"))
    #expect(second.claim(other) == .unknown(1))
    #expect(second.claim(first) == .durable)
  }

  @Test func `a hanging disk makes claims unavailable once the queue is full, and blocks no caller`() throws {
    let (folder, running) = try open()
    let gate = DispatchSemaphore(value: 0)
    folder.faults.set { step, _ in
      if step == .append { gate.wait() }
      return nil
    }
    var accepted = 0
    while running.claimsWithoutWaiting(KeyedWrite(key: "\(accepted)")), accepted < 100_000 { accepted += 1 }
    #expect((JournalWork.itemsMax...2 * JournalWork.itemsMax).contains(accepted))
    #expect(running.journal.close(within: 0.05) == false)
    folder.faults.set(nil)
    for _ in 0..<3 { gate.signal() }
    running.stop()
  }

  @Test(arguments: [JournalFaults.Step.create, .append, .synchronize, .synchronizeFolder])
  func `cannot be opened when its first segment cannot be made durable, and leaves no file`(
    step: JournalFaults.Step
  ) throws {
    let folder = try JournalFolder()
    folder.faults.fail(step, "", Errno(ENOSPC))
    let fault = #expect(throws: JournalFault.self) { _ = try folder.open() }
    #expect(fault == .folder(folder.settings.folder, Errno(ENOSPC)))
    #expect(try folder.names("") == [])
    folder.faults.set(nil)
    #expect(try folder.open().claim(first) == .durable)
  }

  @Test func `a full file system loses no key`() throws {
    // A real one of 64 KiB, if this process may mount one.
    let folder = try JournalFolder()
    try folder.folder.makeFolder("keys")
    guard mount(folder.settings.folder) else {
      print("skipped: this process cannot mount a file system")
      return
    }
    defer { unmount(folder.settings.folder) }
    let running = try folder.open()
    var durable = 0
    while durable < 10_000, running.claim(KeyedWrite(key: "\(durable)")) == .durable { durable += 1 }
    #expect((1..<10_000).contains(durable))
    #expect(running.journal.state.lastFault == Errno(ENOSPC).description)
    #expect(running.claim(KeyedWrite(key: "new")) == .unavailable(.cannotWrite))
    #expect(running.claim(KeyedWrite(key: "0")) == .inProgress)
    running.stop()
    // A larger file system, with the same files.
    let copy = try JournalFolder()
    try FileManager.default.copyItem(atPath: folder.settings.folder, toPath: copy.settings.folder)
    let second = try copy.open()
    for key in 0..<durable { #expect(second.claim(KeyedWrite(key: "\(key)")) == .unknown(1)) }
    second.stop()
  }

  private func mount(_ path: String) -> Bool { run("mount", ["-t", "tmpfs", "-o", "size=64k", "journal-test", path]) }
  private func unmount(_ path: String) { _ = run("umount", [path]) }

  private func run(_ program: String, _ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}
