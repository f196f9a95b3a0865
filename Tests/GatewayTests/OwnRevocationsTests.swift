import OAuth
import Synchronization
import Testing

@testable import Gateway

/// What a process decides about its own revocations, without files.
@Suite struct OwnRevocationsTests {
  private final class Outcomes: Sendable {
    private let stored = Mutex<[Bool]>([])
    var all: [Bool] { stored.withLock { $0 } }
    var note: OwnRevocations.Completion { { isStored in self.stored.withLock { $0.append(isStored) } } }
  }

  private static func ids(_ count: Int) -> [TokenID] {
    (0..<count).map { _ in .random() }
  }

  private static func save(_ own: inout OwnRevocations, isStored: Bool = true) -> OwnRevocations.Save {
    let save = own.beginSave()
    for complete in own.ended(save, isStored: isStored) { complete(isStored) }
    return save
  }

  /// Revokes for one client after the other until there are this many, and saves.
  private static func fill(_ own: inout OwnRevocations, _ count: Int) {
    var isRefused = false
    for (number, id) in ids(count).enumerated() {
      let client = "c\(number / OwnRevocations.entriesPerClientMax)"
      isRefused = own.revoke(id, until: 1_000, .client(client), isKept: false) { _ in }.verdict != .stored || isRefused
    }
    #expect(!isRefused)
    _ = save(&own)
  }

  @Test func `one save writes all revocations that wait, and each requester gets its outcome`() {
    var own = OwnRevocations()
    let (ids, outcomes) = (Self.ids(100), Outcomes())
    for (number, id) in ids.enumerated() {
      let cause = OwnRevocations.Cause.client("c\(number % 2)")
      let decision = own.revoke(id, until: 100, cause, isKept: true, outcomes.note)
      #expect(decision == .init(verdict: .waits, isNew: true, startsSave: number == 0))
    }
    // The same ids again join them.
    for id in ids.prefix(20) {
      let decision = own.revoke(id, until: 100, .client("c2"), isKept: true, outcomes.note)
      #expect(decision == .init(verdict: .waits))
    }
    let save = own.beginSave()
    #expect(save.files == [1: Dictionary(uniqueKeysWithValues: ids.map { ($0, Int64(100)) })])
    // It is not stored yet; this one gets the outcome of the next save, which has nothing to write.
    let late = own.revoke(ids[0], until: 100, .client("c2"), isKept: true, outcomes.note)
    #expect(late == .init(verdict: .waits, startsSave: true) && outcomes.all.isEmpty)
    for complete in own.ended(save, isStored: true) { complete(true) }
    #expect(outcomes.all == Array(repeating: true, count: 120))
    let empty = Self.save(&own)
    #expect(empty.files.isEmpty && outcomes.all.count == 121 && own.waitingCount == 0)
    // By now a file says so, and another request costs nothing.
    for id in ids {
      let again = own.revoke(id, until: 100, .client("c2"), isKept: true, outcomes.note)
      #expect(again == .init(verdict: .stored))
    }
    #expect(!own.needsSave && outcomes.all.count == 121)
    let later = own.revoke(ids[0], until: 101, .client("c2"), isKept: true, outcomes.note)
    #expect(later == .init(verdict: .waits, startsSave: true))
    let extended = Self.save(&own)
    #expect(extended.files[1]?[ids[0]] == 101)
  }

  @Test func `a failed save leaves its revocations in force, to be written by the next one`() {
    var own = OwnRevocations()
    let (ids, outcomes) = (Self.ids(2), Outcomes())
    _ = own.revoke(ids[0], until: 100, .client("c"), isKept: true, outcomes.note)
    _ = Self.save(&own, isStored: false)
    #expect(outcomes.all == [false] && own.needsSave && own.contains(ids[0]) && own.waitingCount == 0)
    let again = own.revoke(ids[0], until: 100, .client("c"), isKept: true, outcomes.note)
    #expect(again == .init(verdict: .waits, startsSave: true))
    let second = Self.save(&own)
    #expect(second.files == [1: [ids[0]: 100]] && outcomes.all == [false, true] && !own.needsSave)
    // As if the folder were another one, or someone had removed the file.
    own.lost(own.storedFiles)
    #expect(own.needsSave)
    let third = Self.save(&own)
    #expect(third.files == second.files)
  }

  @Test func `64 requests of a client wait, and 1,024 of all`() {
    var own = OwnRevocations()
    let outcomes = Outcomes()
    for id in Self.ids(64) {
      let decision = own.revoke(id, until: 100, .client("a"), isKept: true, outcomes.note)
      #expect(decision.verdict == .waits)
    }
    let (refused, known) = (Self.ids(1)[0], Self.ids(1)[0])
    let decision = own.revoke(refused, until: 100, .client("a"), isKept: true, outcomes.note)
    #expect(decision == .init(verdict: .refused(.clientBusy)) && !own.contains(refused))
    for number in 1..<16 {
      for id in Self.ids(64) { _ = own.revoke(id, until: 100, .client("b\(number)"), isKept: true, outcomes.note) }
    }
    #expect(own.waitingCount == 1_024)
    let last = own.revoke(refused, until: 100, .client("z"), isKept: true, outcomes.note)
    #expect(last == .init(verdict: .refused(.busy)) && !own.contains(refused))
    // What a stolen code gave is revoked here anyway, and stored, but not reported as stored.
    let used = own.revoke(known, until: 100, .usedCode(of: "z"), isKept: true, outcomes.note)
    #expect(used == .init(verdict: .refused(.busy), isNew: true) && own.contains(known))
    let save = Self.save(&own)
    #expect(save.files.values.contains { $0[known] == 100 } && outcomes.all.count == 1_024)
    let after = own.revoke(refused, until: 100, .client("a"), isKept: true, outcomes.note)
    #expect(after == .init(verdict: .waits, isNew: true, startsSave: true))
  }

  @Test func `one client cannot fill the list, and a used code has space beyond it`() {
    var own = OwnRevocations()
    Self.fill(&own, OwnRevocations.entriesPerClientMax)
    let (first, second) = (Self.ids(1)[0], Self.ids(1)[0])
    let full = own.revoke(first, until: 1_000, .client("c0"), isKept: true) { _ in }
    #expect(full == .init(verdict: .refused(.clientFull)) && !own.contains(first))
    let other = own.revoke(first, until: 1_000, .client("z"), isKept: true) { _ in }
    #expect(other.verdict == .waits)
    let used = own.revoke(second, until: 1_000, .usedCode(of: "c0"), isKept: true) { _ in }
    #expect(used.verdict == .waits && own.contains(second))
  }

  @Test func `a full list refuses, also a used code once its own space is full`() {
    var own = OwnRevocations()
    Self.fill(&own, OwnRevocations.entriesMax)
    let id = Self.ids(1)[0]
    let full = own.revoke(id, until: 1_000, .client("z"), isKept: true) { _ in }
    #expect(full == .init(verdict: .refused(.full)) && !own.contains(id))
    var isRefused = false
    for id in Self.ids(OwnRevocations.usedCodesMax) {
      let used = own.revoke(id, until: 1_000, .usedCode(of: "z"), isKept: false) { _ in }
      isRefused = used.verdict != .stored || isRefused
    }
    #expect(!isRefused)
    let used = own.revoke(id, until: 1_000, .usedCode(of: "z"), isKept: true) { _ in }
    #expect(used == .init(verdict: .refused(.full)) && !own.contains(id))
  }

  @Test func `a save writes only the files that have changed, and a file without ids is given up`() {
    var own = OwnRevocations()
    Self.fill(&own, 2_500)
    let new = Self.ids(1)[0]
    _ = own.revoke(new, until: 2_000, .client("z"), isKept: true) { _ in }
    let save = Self.save(&own)
    #expect(save.files.mapValues(\.count) == [3: 501])
    let expired = own.expired(before: 1_001)
    #expect(expired.count == 2_500 && own.expired(before: 1_000).isEmpty)
    let kept = own.forget(new, expiredBefore: 1_001)
    #expect(kept == nil && own.contains(new))
    var emptyFiles: [Int] = []
    for id in expired {
      if let file = own.forget(id, expiredBefore: 1_001) { emptyFiles.append(file) }
    }
    #expect(emptyFiles.sorted() == [1, 2])
    #expect(own.storedFiles == [3] && own.contains(new))
    Self.fill(&own, OwnRevocations.entriesPerClientMax)
  }
}
