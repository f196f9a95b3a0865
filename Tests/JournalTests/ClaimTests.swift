import Digests
import Dispatch
import Foundation
import Synchronization
import System
import TestFolders
import Testing

@testable import Journal

@Suite struct ClaimTests {
  private let first = KeyedWrite(key: "a", id: 1)
  private let again = KeyedWrite(key: "a", id: 2)
  private let different = KeyedWrite(key: "a", body: 9, id: 3)

  /// Opens the same folder `times` times, ending each run as a crash does.
  private func inEachRun(_ folder: JournalFolder, _ times: Int = 3, _ body: (RunningJournal) -> Void) throws {
    for _ in 0..<times {
      let running = try folder.open()
      body(running)
      running.stop()
    }
  }

  @Test func `replays a stored response, in this process and in later ones`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    #expect(running.claim(first) == .durable)
    #expect(running.claim(again) == .inProgress)
    #expect(running.claim(different) == .reused)
    #expect(running.record(.created("body"), first) == .durable)
    #expect(running.claim(again) == .created("body"))
    #expect(running.claim(different) == .reused)
    running.close()
    try inEachRun(folder) { running in
      #expect(running.claim(again) == .created("body"))
      #expect(running.claim(different) == .reused)
      #expect(running.journal.state.keys == 1)
    }
  }

  @Test func `keeps the status of a response that was too large, and an empty body`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    let other = KeyedWrite(key: "b")
    #expect(running.claim(first) == .durable)
    #expect(running.claim(other) == .durable)
    #expect(running.record(.responseNotKept(status: 200), first) == .durable)
    #expect(running.record(.response(status: 204, fields: [], body: []), other) == .durable)
    running.stop()
    try inEachRun(folder) { running in
      #expect(running.claim(again) == .notKept(status: 200, 1))
      let empty = StoredResponse(status: 204, fields: [], body: [], requestIDHigh: 7, requestIDLow: 1)
      #expect(running.claim(other) == .stored(empty))
    }
  }

  @Test func `frees a key whose request was not sent`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    #expect(running.claim(first) == .durable)
    #expect(running.record(.notSent, first) == .durable)
    #expect(running.journal.state.keys == 0)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(different) == .durable)
    #expect(second.record(.created("other"), different) == .durable)
    second.stop()
    try inEachRun(folder) { running in #expect(running.claim(first) == .reused) }
  }

  @Test func `does not know the outcome of a write that was cut off or in flight at a crash`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    let other = KeyedWrite(key: "b", id: 5)
    #expect(running.claim(first) == .durable)
    #expect(running.claim(other) == .durable)
    running.channel.abandon(first)
    #expect(running.claim(again) == .unknown(1))
    #expect(running.record(.created("late"), first) == nil, "the outcome of an abandoned write is not accepted")
    #expect(running.claim(again) == .unknown(1))
    #expect(running.journal.state.unknown == 1)
    running.stop()
    try inEachRun(folder) { running in
      #expect(running.claim(again) == .unknown(1))
      #expect(running.claim(different) == .reused)
      #expect(running.claim(KeyedWrite(key: "b", id: 6)) == .unknown(5))
      #expect(running.journal.state.unknown == 2)
    }
  }

  @Test func `accepts an outcome only from the request that claimed the key, and once`() throws {
    let running = try JournalFolder().open()
    #expect(running.record(.created("x"), first) == nil)
    #expect(running.claim(first) == .durable)
    #expect(running.record(.created("x"), again) == nil)
    running.channel.abandon(again)
    #expect(running.claim(again) == .inProgress)
    #expect(running.record(.created("x"), first) == .durable)
    #expect(running.record(.notSent, first) == nil)
    #expect(running.claim(again) == .created("x"))
  }

  @Test func `keeps keys of clients and instances apart`() throws {
    let folder = try JournalFolder()
    let writes = [("a", "b", "c"), ("ab", "", "c"), ("", "ab", "c"), ("a", "", "bc"), ("a", "bc", "")].map {
      KeyedWrite(client: $0.0, instance: $0.1, key: $0.2)
    }
    let running = try folder.open()
    for write in writes { #expect(running.claim(write) == .durable) }
    for (index, write) in writes.enumerated() { #expect(running.record(.created("\(index)"), write) == .durable) }
    running.stop()
    try inEachRun(folder, 1) { running in
      for (index, write) in writes.enumerated() { #expect(running.claim(write) == .created("\(index)")) }
    }
  }

  @Test func `accepts exactly one of eight parallel claims`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    let claimed = Atomic<Int>(0)
    let rest = Atomic<Int>(0)
    let journal = running.journal
    let channels = (0..<8).map { _ in journal.makeChannel {} }
    for round in 0..<200 {
      DispatchQueue.concurrentPerform(iterations: 8) { thread in
        let port = CompletionPort<RunningJournal.Waiter, JournalResult>(channels[thread].completions)
        let write = KeyedWrite(key: "key \(round)", id: UInt64(thread))
        switch channels[thread].claim(write, ticket: port.ticket(for: RunningJournal.Waiter())) {
        case .claimed: claimed.add(1, ordering: .relaxed)
        case .inProgress: rest.add(1, ordering: .relaxed)
        case .reading, .reused, .unavailable: break
        }
      }
      #expect(claimed.load(ordering: .relaxed) == round + 1)
      #expect(rest.load(ordering: .relaxed) == 7 * (round + 1))
    }
    #expect(journal.state.keys == 200)
  }

  /// Its disk may not be mounted.
  @Test func `says when a folder has no keys, and not again`() throws {
    let folder = try JournalFolder()
    try folder.open().close()
    #expect(folder.reports.texts.count == 1 && folder.reports.texts[0].contains("has no keys"))
    try folder.open().close()
    #expect(folder.reports.texts.count == 1)
  }

  @Test func `locks its folder, and names it to the second gateway`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    let fault = #expect(throws: JournalFault.self) { _ = try folder.open() }
    #expect(
      fault?.description
        == "idempotency: another gateway uses the folder \(folder.settings.folder): give each gateway a folder, or stop "
        + "the other one")
    running.stop()
    try folder.open().close()
  }

  @Test func `creates its folder and files for its user only`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    #expect(running.claim(first) == .durable)
    func mode(_ path: String) throws -> Int? {
      (try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)?.intValue
    }
    #expect(try mode(folder.settings.folder) == 0o700)
    let names = try folder.names("")
    #expect(names.count == 2)
    for name in names {
      #expect(try mode(folder.path(name)) == 0o600)
      #expect(name.wholeMatch(of: /20270115T080000Z-[0-9a-f]{16}\.(keys|bodies)/) != nil, "\(name)")
    }
  }

  @Test func `cannot be opened in a folder that cannot be made`() throws {
    let folder = try JournalFolder()
    try folder.folder.write("", to: "file")
    folder.settings.folder = folder.folder.path("file/keys")
    let fault = #expect(throws: JournalFault.self) { _ = try folder.open() }
    #expect(fault?.description.contains(folder.settings.folder) == true)
  }

  @Test func `takes a claim of about 170 bytes and names`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    #expect(running.claim(first) == .durable)
    let name = try folder.names(".keys")[0]
    let size = try folder.written(folder.path(name)).count
    #expect(size - SegmentHeader.byteCount - "clientinstancea".utf8.count <= 170)
  }

  @Test func `writes over zeros, of which it has 16 KiB or as many as bytes, until the file is complete`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    let path = folder.path(try folder.names(".keys")[0])
    #expect(try FileStatus(path: path).byteCount == SegmentHeader.byteCount)
    var sizes: [Int] = []
    for number in 0..<400 {
      #expect(running.claim(KeyedWrite(key: "\(number)")) == .durable)
      let size = try FileStatus(path: path).byteCount
      let written = try folder.written(path).count
      if size != sizes.last { sizes.append(size) }
      #expect((0...max(16 << 10, written)).contains(size - written))
    }
    // 400 batches of about 170 bytes.
    #expect(sizes.count == 4 && (16_384..<17_000).contains(sizes[0]), "\(sizes)")
    let bodies = folder.path(try folder.names(".bodies")[0])
    #expect(running.record(.created(String(repeating: "x", count: 2_000)), KeyedWrite(key: "1")) == .durable)
    #expect(try FileStatus(path: bodies).byteCount == 2_000 + 16 << 10)
    func bytesOnDisk() throws -> Int {
      try folder.names("s").reduce(0) { try $0 + FileStatus(path: folder.path($1)).byteCount }
    }
    #expect(try running.journal.state.diskBytes == bytesOnDisk())
    folder.clocks.advance(seconds: 3_601)
    #expect(running.claim(KeyedWrite(key: "next segment")) == .durable)
    #expect(try FileStatus(path: path).byteCount == folder.written(path).count)
    #expect(try FileStatus(path: bodies).byteCount == 2_000)
    #expect(try running.journal.state.diskBytes == bytesOnDisk())
    running.close()
    for name in try folder.names("") {
      #expect(try FileStatus(path: folder.path(name)).byteCount == folder.written(folder.path(name)).count)
    }
    #expect(try folder.open().claim(KeyedWrite(key: "next segment")) == .unknown(1))
  }

  /// Zeros in a record could be taken for a part that was not written.
  @Test func `stores a body with a zero in the bodies file`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    for (number, body) in ["\0", "x\0", "\0x", String(repeating: "\0", count: 1_000)].enumerated() {
      let bodies = folder.path(try folder.names(".bodies")[0])
      let before = try FileStatus(path: bodies).byteCount
      let write = KeyedWrite(key: "\(number)")
      #expect(running.claim(write) == .durable)
      #expect(running.record(.created(body), write) == .durable)
      #expect(running.claim(write) == .created(body))
      if number == 0 { #expect(try FileStatus(path: bodies).byteCount > before) }
      let keys = try folder.written(folder.path(try folder.names(".keys")[0]))
      #expect(!keys.contains(sequence: [UInt8](repeating: 0, count: 100)))
      #expect(keys.last == UInt8(ascii: "\n"))
    }
  }

  @Test func `records the outcome in a batch with the claim, in order`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    // The thread is held in a slow write, so that the next ones share a batch.
    let (entered, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    folder.faults.set { step, name in
      if step == .synchronize, name.hasSuffix(".keys") {
        entered.signal()
        gate.wait()
      }
      return nil
    }
    #expect(running.claimsWithoutWaiting(KeyedWrite(key: "slow")))
    entered.wait()
    #expect(running.claimsWithoutWaiting(first))
    #expect(running.recordsWithoutWaiting(.created("quick"), first))
    #expect(running.claim(again) == .inProgress)
    let abandoned = KeyedWrite(key: "abandoned", id: 4)
    #expect(running.claimsWithoutWaiting(abandoned))
    running.channel.abandon(abandoned)
    #expect(running.claim(KeyedWrite(key: "abandoned", id: 5)) == .inProgress)
    folder.faults.set(nil)
    gate.signal()
    running.settle()
    #expect(running.claim(again) == .created("quick"))
    #expect(running.claim(KeyedWrite(key: "abandoned", id: 5)) == .unknown(4))
    running.stop()
    let second = try folder.open()
    #expect(second.claim(again) == .created("quick"))
    #expect(second.claim(KeyedWrite(key: "abandoned", id: 5)) == .unknown(4))
  }
}
