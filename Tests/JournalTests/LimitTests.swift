import TestFolders
import Testing

@testable import Journal

@Suite struct LimitTests {
  private func write(_ number: Int, _ client: String = "client") -> KeyedWrite {
    KeyedWrite(client: client, key: "\(number)")
  }

  @Test func `rejects keys beyond the limit, and evicts none`() throws {
    let folder = try JournalFolder(keysMax: 10)
    let running = try folder.open()
    for number in 0..<10 { #expect(running.claim(write(number)) == .durable) }
    #expect(running.claim(write(10)) == .unavailable(.keys))
    #expect(running.record(.created("x"), write(0)) == .durable)
    #expect(running.claim(write(10)) == .unavailable(.keys))
    #expect(running.claim(write(0)) == .created("x"))
    #expect(running.journal.state.keysPercent == 100)
    #expect(running.record(.notSent, write(1)) == .durable)
    #expect(running.claim(write(10)) == .durable)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(write(11)) == .unavailable(.keys))
    folder.settings.keysMax = 11
    second.journal.apply(folder.settings)
    #expect(second.claim(write(11)) == .durable)
  }

  @Test func `limits each client, over all of its instances`() throws {
    let folder = try JournalFolder(keysPerClientMax: 4)
    let running = try folder.open()
    for number in 0..<4 {
      #expect(running.claim(KeyedWrite(client: "a", instance: "\(number % 2)", key: "\(number)")) == .durable)
    }
    #expect(running.claim(KeyedWrite(client: "a", instance: "2", key: "x")) == .unavailable(.keysOfClient))
    #expect(running.claim(write(0, "b")) == .durable)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(KeyedWrite(client: "a", instance: "2", key: "x")) == .unavailable(.keysOfClient))
    #expect(second.claim(write(1, "b")) == .durable)
    #expect(second.journal.state.clientPercent == 100)
    #expect(second.forget(KeyedWrite(client: "a", instance: "0", key: "0")) == .forgotten(1))
    #expect(second.claim(KeyedWrite(client: "a", instance: "2", key: "x")) == .durable)
  }

  @Test func `limits the bytes on disk, and still takes outcomes`() throws {
    let folder = try JournalFolder(diskBytesMax: 20_000)
    let running = try folder.open()
    var count = 0
    while count < 100, running.claim(write(count)) == .durable { count += 1 }
    // Until 16 KiB are written, and 16 KiB of zeros more.
    #expect((90..<100).contains(count))
    #expect(running.claim(write(count)) == .unavailable(.diskBytes))
    #expect(running.record(.created("x"), write(0)) == .durable)
    running.settle()
    #expect(running.journal.state.diskPercent >= 100)
    running.stop()
    #expect(try folder.open().claim(write(count)) == .unavailable(.diskBytes))
  }

  /// Released keys stay on disk until their segment is removed.
  @Test func `a client cannot fill the disk of others, also not with keys that are free again`() throws {
    let folder = try JournalFolder(keysMax: 1_000, keysPerClientMax: 100, diskBytesMax: 100_000)
    let running = try folder.open()
    var count = 0
    while count < 1_000, running.claim(write(0)) == .durable {
      #expect(running.record(.notSent, write(0)) == .durable)
      count += 1
    }
    // 10,000 bytes are its share, and both records have 137 bytes.
    #expect((30..<45).contains(count))
    running.settle()
    let warnings = folder.reports.texts.filter { $0.contains("bytes of client client") }
    #expect(warnings.count == 1 && warnings[0].contains("a client's share of it = 10000"), "\(warnings)")
    #expect(running.claim(write(1)) == .unavailable(.diskBytesOfClient))
    #expect(running.claim(write(0, "other")) == .durable)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(write(2, "other")) == .durable)
    folder.settings.keysPerClientMax = 1_000
    second.journal.apply(folder.settings)
    #expect(second.claim(write(1)) == .durable)
  }

  @Test func `rejects names that no record can hold`() throws {
    let running = try JournalFolder().open()
    let long = String(repeating: "k", count: KeyedWrite.nameBytesMax)
    #expect(running.claim(KeyedWrite(key: long)) == .durable)
    #expect(running.record(.created("x"), KeyedWrite(key: long)) == .durable)
    #expect(running.claim(KeyedWrite(key: long)) == .created("x"))
    #expect(running.claim(KeyedWrite(key: long + "k")) == .unavailable(.cannotWrite))
  }

  @Test func `warns once when a limit is 80 % used, and again after it was below 75 %`() throws {
    let folder = try JournalFolder(keysMax: 100, keysPerClientMax: 20, diskBytesMax: 1 << 30)
    let running = try folder.open()
    func warnings(_ limit: String) -> Int {
      running.settle()
      return folder.reports.texts.filter { $0.contains("idempotency.\(limit) = ") }.count
    }
    for number in 0..<15 { #expect(running.claim(write(number)) == .durable) }
    #expect(warnings("keys_per_client_max") == 0)
    for number in 15..<20 { #expect(running.claim(write(number)) == .durable) }
    #expect(warnings("keys_per_client_max") == 1)
    #expect(folder.reports.texts.contains { $0.contains("client client,") })
    for number in 0..<6 { #expect(running.record(.notSent, write(number)) == .durable) }
    #expect(warnings("keys_per_client_max") == 1)
    for number in 0..<6 { #expect(running.claim(write(number)) == .durable) }
    #expect(warnings("keys_per_client_max") == 2)
    #expect(warnings("keys_max") == 0)
    for client in 0..<6 {
      for number in 0..<10 { #expect(running.claim(write(number, "\(client)")) == .durable) }
    }
    #expect(warnings("keys_max") == 1)
    #expect(warnings("disk_bytes_max") == 0)
    folder.settings.diskBytesMax = running.journal.state.diskBytes
    running.journal.apply(folder.settings)
    #expect(warnings("disk_bytes_max") == 1)
  }
}
