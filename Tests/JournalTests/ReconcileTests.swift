import Testing

@testable import Journal

/// What Core's record shows about an unknown write.
@Suite struct ReconcileTests {
  private static let write = KeyedWrite(key: "a", id: 1)

  private static func response(of id: UInt64 = 1) -> StoredResponse {
    StoredResponse(
      reconstructed: 201, fields: Array("A: b\r\n".utf8), body: Array("record".utf8), requestIDHigh: 7, requestIDLow: id
    )
  }

  private func unknownKey(_ folder: JournalFolder) throws -> RunningJournal {
    let running = try folder.open()
    #expect(running.claim(Self.write) == .durable)
    running.channel.abandon(Self.write)
    #expect(running.claim(KeyedWrite(key: "a", id: 2)) == .unknown(1))
    return running
  }

  @Test func `is stored, durably, for repeats of the same request`() throws {
    let folder = try JournalFolder()
    let running = try unknownKey(folder)
    #expect(running.reconcile(KeyedWrite(key: "a", id: 2), Self.response()) == true)
    #expect(running.reconcile(KeyedWrite(key: "a", id: 2), Self.response()) == true)
    #expect(running.journal.state.unknown == 0)
    #expect(running.claim(KeyedWrite(key: "a", id: 3)) == .stored(Self.response()))
    running.stop()
    let second = try folder.open()
    #expect(second.claim(KeyedWrite(key: "a", id: 4)) == .stored(Self.response()))
    #expect(second.claim(KeyedWrite(key: "a", body: 9, id: 4)) == .reused)
    #expect(second.resolve(Self.write, .notDone) == .notUnknown)
  }

  @Test func `changes nothing for another request, a key in flight, and one whose outcome is known`() throws {
    let folder = try JournalFolder()
    let running = try unknownKey(folder)
    #expect(running.reconcile(KeyedWrite(key: "a", body: 9, id: 2), Self.response()) == false)
    #expect(running.reconcile(KeyedWrite(key: "a", id: 2), Self.response(of: 2)) == false)
    #expect(running.reconcile(KeyedWrite(key: "never", id: 2), Self.response()) == false)
    let (flying, known) = (KeyedWrite(key: "b", id: 1), KeyedWrite(key: "c", id: 1))
    #expect(running.claim(flying) == .durable && running.claim(known) == .durable)
    #expect(running.record(.created("body"), known) == .durable)
    #expect(running.reconcile(flying, Self.response()) == false)
    #expect(running.reconcile(known, Self.response()) == true)
    #expect(running.claim(KeyedWrite(key: "a", id: 3)) == .unknown(1))
    #expect(running.claim(KeyedWrite(key: "b", id: 3)) == .inProgress)
    #expect(running.claim(KeyedWrite(key: "c", id: 3)) == .created("body"))
    #expect(running.claim(KeyedWrite(key: "never", id: 3)) == .durable)
  }

  @Test func `leaves the key unknown if the disk is full or fails`() throws {
    let folder = try JournalFolder()
    let running = try unknownKey(folder)
    var settings = folder.settings
    settings.diskBytesMax = 1
    running.journal.apply(settings)
    #expect(running.reconcile(Self.write, Self.response()) == false)
    #expect(running.claim(KeyedWrite(key: "a", id: 3)) == .unknown(1))
    running.journal.apply(folder.settings)
    folder.faults.fail(.synchronize)
    #expect(running.reconcile(Self.write, Self.response()) == false)
    folder.faults.set(nil)
    #expect(running.claim(KeyedWrite(key: "a", id: 3)) == .unknown(1))
  }
}
