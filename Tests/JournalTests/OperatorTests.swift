import Dispatch
import Foundation
import TestFolders
import Testing

@testable import Journal

@Suite struct OperatorTests {
  @Test func `an instance that no key has is forgotten without a record`() throws {
    let folder = try JournalFolder()
    let running = try folder.open()
    #expect(running.claim(KeyedWrite(key: "a")) == .durable)
    for name in ["other", String(repeating: "i", count: 8_000)] {
      #expect(running.forget(instance: name) == .forgotten(0))
    }
    running.stop()
    let second = try folder.open()
    #expect(second.claim(KeyedWrite(key: "a")) == .unknown(1))
  }

  private func write(_ key: String, _ client: String = "a", _ instance: String = "x", id: UInt64 = 1) -> KeyedWrite {
    KeyedWrite(client: client, instance: instance, key: key, id: id)
  }

  /// Keys in all states.
  private func filled() throws -> (JournalFolder, RunningJournal) {
    let folder = try JournalFolder()
    let running = try folder.open()
    for write in [
      write("stored"), write("not kept"), write("unknown"), write("in flight"), write("1", "b"), write("1", "b", "y"),
    ] {
      #expect(running.claim(write) == .durable)
    }
    #expect(running.record(.created("body"), write("stored")) == .durable)
    #expect(running.record(.responseNotKept(status: 202), write("not kept")) == .durable)
    running.channel.abandon(write("unknown"))
    running.channel.abandon(write("1", "b"))
    #expect(running.record(.created("y"), write("1", "b", "y")) == .durable)
    return (folder, running)
  }

  private func names(_ running: RunningJournal, _ client: String?, _ instance: String?, _ states: Set<JournalKey.State>)
    -> [String]
  {
    (running.list(client: client, instance: instance, states: states)?.keys ?? []).map {
      "\($0.client)/\($0.instance)/\($0.key)"
    }.sorted()
  }

  @Test func `lists keys by client, instance and state`() throws {
    let (folder, running) = try filled()
    let all = Set(JournalKey.State.allCases)
    #expect(names(running, nil, nil, all).count == 6)
    #expect(names(running, "b", nil, all) == ["b/x/1", "b/y/1"])
    #expect(names(running, nil, "y", all) == ["b/y/1"])
    #expect(names(running, nil, nil, [.unknown]) == ["a/x/unknown", "b/x/1"])
    #expect(names(running, "a", "x", [.inFlight]) == ["a/x/in flight"])
    #expect(names(running, "a", "x", [.stored, .notKept]) == ["a/x/not kept", "a/x/stored"])
    #expect(names(running, "no", nil, all) == [])
    for limit in 0...7 {
      let listed = try #require(running.list(limit: limit))
      #expect(listed.keys.count == min(limit, 6))
      #expect(listed.isComplete == (limit >= 6))
    }
    running.stop()
    let second = try folder.open()
    #expect(names(second, nil, nil, [.unknown]) == ["a/x/in flight", "a/x/unknown", "b/x/1"])
  }

  @Test func `makes few lists at once, so that operators who ask again add no threads`() throws {
    let (_, running) = try filled()
    let (asked, hold) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    func list() -> Bool {
      running.journal.list(client: nil, instance: nil, states: [.unknown], limit: 1) { _, _ in
        asked.signal()
        hold.wait()
      }
    }
    #expect((0..<4).allSatisfy { _ in list() } && !list())
    asked.wait()
    #expect(!list())
    for _ in 0..<4 { hold.signal() }
    for _ in 0..<3 { asked.wait() }
  }

  @Test func `shows a key without its response`() throws {
    let (_, running) = try filled()
    guard case .found(let key)? = running.show(write("stored")) else { return #expect(Bool(false)) }
    #expect(key.state == .stored && key.status == 201 && key.bodyBytes == 4 && key.requestIDLow == 1)
    #expect(key.client == "a" && key.instance == "x" && key.key == "stored")
    guard case .found(let other)? = running.show(write("in flight")) else { return #expect(Bool(false)) }
    #expect(other.state == .inFlight && other.status == nil)
    #expect(running.show(write("none")) == .missing)
  }

  @Test func `resolves an unknown key as done, durably`() throws {
    let (folder, running) = try filled()
    #expect(running.resolve(write("unknown"), .done(status: 201)) == .resolved)
    #expect(running.claim(write("unknown", id: 9)) == .notKept(status: 201, 1))
    #expect(running.resolve(write("unknown"), .notDone) == .notUnknown)
    running.stop()
    #expect(try folder.open().claim(write("unknown")) == .notKept(status: 201, 1))
  }

  @Test func `frees an unknown key only if it is old enough, durably`() throws {
    let (folder, running) = try filled()
    folder.clocks.advance(seconds: 29)
    #expect(running.resolve(write("unknown"), .notDone, minimumAge: 30) == .tooYoung(ageSeconds: 29))
    #expect(running.claim(write("unknown")) == .unknown(1))
    folder.clocks.setWall(forwardBy: 86_400)
    #expect(running.resolve(write("unknown"), .notDone, minimumAge: 30) == .tooYoung(ageSeconds: 29))
    folder.clocks.advance(seconds: 1)
    #expect(running.resolve(write("unknown"), .notDone, minimumAge: 30) == .resolved)
    #expect(running.journal.state.unknown == 1)
    running.stop()
    #expect(try folder.open().claim(write("unknown", id: 4)) == .durable)
  }

  @Test func `resolves only unknown keys`() throws {
    let (_, running) = try filled()
    #expect(running.resolve(write("stored"), .notDone) == .notUnknown)
    #expect(running.resolve(write("in flight"), .done(status: 200)) == .inFlight)
    #expect(running.resolve(write("none"), .notDone) == .missing)
  }

  @Test func `forgets a key, never one in flight`() throws {
    let (folder, running) = try filled()
    #expect(running.forget(write("stored")) == .forgotten(1))
    #expect(running.forget(write("unknown")) == .forgotten(1))
    #expect(running.forget(write("in flight")) == .inFlight)
    #expect(running.forget(write("none")) == .missing)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(write("stored")) == .durable)
    #expect(second.claim(write("unknown")) == .durable)
    #expect(second.claim(write("in flight")) == .unknown(1))
  }

  @Test func `does not forget keys of unknown outcome that may still be executed`() throws {
    let (folder, running) = try filled()
    let found = running.forget(write("unknown"), minimumAge: 30)
    #expect({ if case .tooYoung = found { true } else { false } }())
    #expect(running.forget(instance: "x", minimumAge: 30) == .forgotten(2, kept: 2))
    #expect(running.claim(write("unknown")) == .unknown(1))
    #expect(running.claim(write("stored", id: 2)) == .durable)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(write("unknown")) == .unknown(1))
    folder.clocks.advance(seconds: 31)
    #expect(second.forget(write("unknown"), minimumAge: 30, isTrial: true) == .forgotten(1))
    #expect(second.claim(write("unknown")) == .unknown(1))
    #expect(second.forget(write("unknown"), minimumAge: 30) == .forgotten(1))
    #expect(second.claim(write("unknown")) == .durable)
  }

  @Test func `forgets an instance, except for its keys in flight`() throws {
    let (folder, running) = try filled()
    #expect(running.forget(instance: "x") == .forgotten(4))
    #expect(running.forget(instance: "none") == .forgotten(0))
    #expect(running.journal.state.keys == 2)
    #expect(running.claim(write("in flight", id: 8)) == .inProgress)
    #expect(running.claim(write("stored", id: 2)) == .durable)
    #expect(running.record(.created("again"), write("stored", id: 2)) == .durable)
    running.stop()
    let second = try folder.open()
    #expect(second.claim(write("in flight", id: 8)) == .unknown(1))
    #expect(second.claim(write("stored")) == .created("again", id: 2))
    #expect(second.claim(write("1", "b", "y")) == .created("y"))
    #expect(second.claim(write("1", "b")) == .durable)
    #expect(second.claim(write("unknown")) == .durable)
    #expect(second.journal.state.keys == 5)
  }

  @Test func `an instance is forgotten only if the whole batch was written`() throws {
    let (folder, running) = try filled()
    let name = folder.path(try folder.names(".keys")[0])
    let before = try Data(contentsOf: URL(filePath: name)).count
    #expect(running.forget(instance: "x") == .forgotten(4))
    running.stop()
    let all = try Data(contentsOf: URL(filePath: name))
    for end in before..<all.count {
      for other in try folder.names("") where !name.contains(other.prefix { $0 != "." }) {
        try FileManager.default.removeItem(atPath: folder.path(other))
      }
      try all[..<end].write(to: URL(filePath: name))
      let second = try folder.open()
      #expect(second.claim(write("in flight")) == .unknown(1), "cut at \(end)")
      #expect(second.claim(write("stored")) == .created("body"), "cut at \(end)")
      second.stop()
    }
  }

  @Test func `changes nothing when it cannot be made durable`() throws {
    let (folder, running) = try filled()
    folder.faults.fail(.synchronize, ".keys")
    #expect(running.resolve(write("unknown"), .done(status: 200)) == .failed)
    #expect(running.resolve(write("unknown"), .notDone) == .failed)
    #expect(running.forget(write("stored")) == .failed)
    #expect(running.forget(instance: "x") == .failed)
    #expect(running.claim(write("unknown")) == .unknown(1))
    #expect(running.claim(write("stored")) == .created("body"))
    running.close()
    #expect(running.forget(write("stored")) == .failed)
  }
}
