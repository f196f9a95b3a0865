import Digests
import Foundation
import TestValues
import Testing

@testable import Journal

/// Random operations, faults, crashes and clock jumps against a model: every answer must be one that the model allows, and
/// each later process must answer the same.
@Suite struct PropertyTests {
  /// `JOURNAL_SEEDS` tries more.
  private static var seeds: [UInt64] {
    if let seed = ProcessInfo.processInfo.environment["JOURNAL_SEED"].flatMap(UInt64.init) { return [seed] }
    let count = ProcessInfo.processInfo.environment["JOURNAL_SEEDS"].flatMap(Int.init) ?? 6
    return [1, 2] + (2..<max(3, count)).map { _ in UInt64.random(in: .min ... .max) }
  }

  @Test(arguments: seeds)
  func `answers as the model does`(seed: UInt64) throws {
    var run = try PropertyRun(seed: seed)
    for _ in 0..<400 { try run.step() }
    try run.checkAll()
  }
}

private struct PropertyRun {
  private static let ttl = 7_200
  private let seed: UInt64
  private var generator: SeededGenerator
  private let folder: JournalFolder
  private var running: RunningJournal
  private var model = ReferenceJournal()
  private var time = 0
  private var wallError = 0
  private var nextID: UInt64 = 1
  private var history: [String] = []

  init(seed: UInt64) throws {
    self.seed = seed
    generator = SeededGenerator(state: seed)
    folder = try JournalFolder(ttlSeconds: Self.ttl)
    running = try folder.open()
  }

  private mutating func random(_ range: Range<Int>) -> Int { Int.random(in: range, using: &generator) }

  mutating func step() throws {
    let before = random(0..<100)
    switch before {
    case 0..<40: claim(anyWrite())
    case 40..<62: record()
    case 62..<68: abandon()
    case 68..<74: advance(random(0..<10) == 0 ? Self.ttl + 3_700 : random(0..<2_000))
    case 74..<78:
      let jump = random(-1_000_000..<1_000_000)
      folder.clocks.setWall(forwardBy: jump)
      wallError += jump
    case 78..<82: resolve()
    case 82..<85: forget()
    case 85..<87: forgetInstance()
    case 87..<92: try fault()
    case 92..<95: try crashWithWork()
    case 95..<98: try restart { $0.stop() }
    default: try restart { $0.close() }
    }
  }

  private mutating func anyWrite() -> KeyedWrite {
    nextID += 1
    let number = random(0..<24)
    return KeyedWrite(
      client: "client \(number % 3)", instance: "instance \(number % 2)", key: "\(number)",
      body: random(0..<8) == 0 ? 1 : 0, id: nextID)
  }

  /// A write that is certainly in flight.
  private mutating func anyInFlight() -> KeyedWrite? {
    let writes = model.keys.values.compactMap { key -> KeyedWrite? in
      if case .inFlight(let write) = key.now[0], key.now.count == 1 { write } else { nil }
    }
    return writes.sorted { $0.requestIDLow < $1.requestIDLow }.randomElement(using: &generator)
  }

  /// What happened to a key, and to all keys.
  private func history(of key: String) -> String {
    history.filter { $0.contains(" \(key) ") || !$0.contains(" ") || $0.contains("advance") || $0.contains("instance") }
      .suffix(60).joined(separator: "; ")
  }

  // MARK: Operations

  /// Claims, and checks the answer. The answer says which of the possible states it was.
  private mutating func claim(_ write: KeyedWrite) {
    let key = model[write.key]
    let answer = running.claim(write)
    history.append("claim \(write.key) \(write.requestIDLow): \(answer)")
    let matching = key.now.filter { ($0.answer(to: write) ?? .durable) == answer }
    guard let state = matching.first else {
      let expected = key.now.map { "\($0.answer(to: write) ?? .durable)" }
      Issue.record("seed \(seed): \(answer), not one of \(expected), after \(history(of: write.key))")
      return
    }
    if answer == .durable { return model.set(write.key, .inFlight(write), at: time) }
    if matching.count == 1 { model.keys[write.key]?.now = [state] }
  }

  private mutating func anyOutcome(_ write: KeyedWrite) -> (KeyedOutcome, ReferenceJournal.State) {
    switch random(0..<10) {
    case 0: return (.notSent, .free)
    case 1: return (.responseNotKept(status: 202), .notKept(write, 202))
    default:
      let body = [UInt8](repeating: UInt8(random(0..<256)), count: random(0..<3_000))
      let fields = Array("X: \(random(0..<1_000))\r\n".utf8)
      let response = StoredResponse(
        status: 201, fields: fields, body: body, requestIDHigh: write.requestIDHigh, requestIDLow: write.requestIDLow)
      return (.response(status: 201, fields: fields, body: body), .stored(write, response))
    }
  }

  private mutating func record() {
    guard let write = anyInFlight() else { return }
    let (outcome, state) = anyOutcome(write)
    let answer = running.record(outcome, write)
    history.append("record \(write.key) \(write.requestIDLow): \(answer.map { "\($0)" } ?? "nil")")
    #expect(answer == .durable, "seed \(seed)")
    model.set(write.key, state, at: time)
  }

  private mutating func abandon() {
    guard let write = anyInFlight() else { return }
    running.channel.abandon(write)
    history.append("abandon \(write.key) \(write.requestIDLow)")
    model.set(write.key, .unknown(write), at: time)
  }

  private mutating func advance(_ seconds: Int) {
    folder.clocks.advance(seconds: seconds)
    time += seconds
    running.settle()
    history.append("advance \(seconds)")
    model.expire(at: time, ttl: Self.ttl)
  }

  private mutating func resolve() {
    let write = anyWrite()
    let key = model[write.key]
    let isDone = random(0..<2) == 0
    let result = running.resolve(write, isDone ? .done(status: 299) : .notDone)
    history.append("resolve \(write.key) \(isDone): \(result.map { "\($0)" } ?? "")")
    let matching = key.now.filter { state in
      switch (state, result) {
      case (.free, .missing), (.inFlight, .inFlight), (.unknown, .resolved): true
      case (.stored, .notUnknown), (.notKept, .notUnknown): true
      default: false
      }
    }
    guard let state = matching.first else {
      Issue.record("seed \(seed): resolve \(String(describing: result)) of \(key.now), after \(history(of: write.key))")
      return
    }
    guard result == .resolved, let claimed = state.write else { return }
    model.set(write.key, isDone ? .notKept(claimed, 299) : .free, at: time)
  }

  private mutating func forget() {
    let write = anyWrite()
    let result = running.forget(write)
    history.append("forget \(write.key) : \(result.map { "\($0)" } ?? "")")
    switch result {
    case .forgotten: model.set(write.key, .free, at: time)
    case .inFlight:
      #expect(model[write.key].now.contains { if case .inFlight = $0 { true } else { false } }, "seed \(seed)")
    case .missing: #expect(model[write.key].now.contains(.free), "seed \(seed)")
    case .failed, .unreadable, .tooYoung, nil: Issue.record("seed \(seed): not forgotten")
    }
  }

  private mutating func forgetInstance() {
    let instance = random(0..<2)
    guard case .forgotten? = running.forget(instance: "instance \(instance)") else {
      Issue.record("seed \(seed): instance not forgotten")
      return
    }
    history.append("forget instance \(instance)")
    for number in 0..<24 where number % 2 == instance {
      if case .inFlight? = model[("\(number)")].now.first { continue }
      model.set("\(number)", .free, at: time)
    }
  }

  // MARK: Faults and restarts

  /// A claim or an outcome that fails, and the wait for a new segment.
  private mutating func fault() throws {
    let steps: [JournalFaults.Step] = [.append, .synchronize]
    let written = random(0..<300)
    folder.faults.fail(steps[random(0..<2)], random(0..<3) == 0 ? ".bodies" : ".keys", written: written)
    let inFlight = anyInFlight()
    if random(0..<2) == 0, let write = inFlight {
      let (outcome, state) = anyOutcome(write)
      let answer = running.record(outcome, write)
      history.append("failing record \(write.key) \(write.requestIDLow): \(answer.map { "\($0)" } ?? "nil")")
      switch answer {
      // A fault of the bodies file concerns responses with a body only.
      case .durable: model.set(write.key, state, at: time)
      default:
        let now: ReferenceJournal.State = state == .free ? .free : .unknown(write)
        model.set(write.key, now, later: [.unknown(write), state], at: time)
      }
    } else {
      let write = anyWrite()
      let key = model[write.key]
      let answer = running.claim(write)
      history.append("failing claim \(write.key) \(write.requestIDLow): \(answer)")
      switch answer {
      case .failed:
        #expect(key.now.contains(.free), "seed \(seed)")
        model.set(write.key, .free, later: [.unknown(write)] + key.later, at: time)
      case .durable: model.set(write.key, .inFlight(write), at: time)
      default: #expect(key.now.contains { $0.answer(to: write) == answer }, "seed \(seed)")
      }
    }
    folder.faults.set(nil)
    if random(0..<3) == 0 { return try restart { $0.stop() } }
    for _ in 0..<1_000 where !running.journal.state.canWrite { Thread.sleep(forTimeInterval: 0.005) }
    #expect(running.journal.state.canWrite)
  }

  /// A crash while a claim or an outcome is on its way to the disk, which may have any sectors of it.
  private mutating func crashWithWork() throws {
    let before = try segments()
    if random(0..<2) == 0, let write = anyInFlight() {
      let (outcome, state) = anyOutcome(write)
      #expect(running.recordsWithoutWaiting(outcome, write), "seed \(seed)")
      model.set(write.key, .inFlight(write), later: [state], at: time)
      history.append("record \(write.key) \(write.requestIDLow) and crash")
    } else {
      let write = anyWrite()
      let key = model[write.key]
      if running.claimsWithoutWaiting(write) {
        #expect(key.now.contains(.free), "seed \(seed)")
        model.set(write.key, .free, later: [.unknown(write)] + key.later, at: time)
      }
      history.append("claim \(write.key) \(write.requestIDLow) and crash")
    }
    running.stop()
    try loseSectors(writtenSince: before)
    try restart { _ in }
  }

  private func segments() throws -> [String: [UInt8]] {
    try Dictionary(
      uniqueKeysWithValues: folder.names(".keys").map { name in (name, try folder.written(folder.path(name))) })
  }

  private mutating func loseSectors(writtenSince before: [String: [UInt8]]) throws {
    for (name, bytes) in try segments() {
      guard let start = before[name]?.count, start < bytes.count, bytes.batchOffsets.last == start else { continue }
      var left = bytes
      for sector in start / 512...(bytes.count - 1) / 512 where random(0..<2) == 0 {
        left = left.without(max(start, 512 * sector)..<min(bytes.count, 512 * (sector + 1)))
      }
      left += [UInt8](repeating: 0, count: random(0..<2) * 16_384)
      try Data(left).write(to: URL(filePath: folder.path(name)))
      history.append("lost sectors of \(name)")
    }
  }

  private mutating func restart(_ end: (RunningJournal) -> Void) throws {
    end(running)
    model.restart()
    if random(0..<4) == 0 {
      // Of another boot, the wall clock is all there is: it must have been right once in each boot.
      folder.clocks.setWall(forwardBy: -wallError)
      wallError = 0
      try folder.open().stop()
      folder.clocks.restartSystem()
      try folder.open().stop()
      history.append("restart of the system")
    }
    history.append("restart")
    running = try folder.open()
  }

  /// Every key's answer, before and after a restart.
  mutating func checkAll() throws {
    for _ in 0..<2 {
      for number in 0..<24 {
        nextID += 1
        // With the model's fingerprint, so that it shows stored responses.
        let body = model[("\(number)")].now.compactMap(\.write).first?.fingerprint.words.0 ?? 0
        claim(
          KeyedWrite(
            client: "client \(number % 3)", instance: "instance \(number % 2)", key: "\(number)", body: body, id: nextID
          ))
      }
      try restart { $0.stop() }
    }
  }
}
