import Reactor
import TestValues
import Testing

@Suite struct DeadlinesTests {
  /// A reference for the wheel that looks at every entry.
  struct Model {
    var due: [UInt32: (at: Int64, tick: Int64)] = [:]

    mutating func set(_ id: UInt32, at due: Int64, now: Int64) {
      let tick = Deadlines.tickMilliseconds
      self.due[id] = due == .max ? nil : (due, max(now / tick + 1, (due + tick - 1) / tick))
    }

    /// The ids that must have fired by `now`.
    func overdue(now: Int64) -> [UInt32] { due.filter { $0.value.tick <= now / Deadlines.tickMilliseconds }.map(\.key) }
  }

  @Test(arguments: 0..<40)
  func `agrees with a list of all deadlines`(run: Int) {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    var now = Int64.random(in: 0..<100_000, using: &random)
    var wheel = Deadlines(now: now)
    var model = Model()
    for _ in 0..<1_500 {
      for _ in 0..<Int.random(in: 0..<6, using: &random) { change(&wheel, &model, now, &random) }
      if let next = model.due.values.map(\.tick).min() {
        let until = wheel.untilNext(now: now)
        #expect(until != nil && until! <= max(0, next * 8 - now), "seed \(seed)")
      }
      now += step(&random)
      var fired: Set<UInt32> = []
      while let id = wheel.popDue(now: now) {
        #expect(model.due[id].map { $0.at <= now } == true, "early, cleared or twice: \(id), seed \(seed)")
        model.due[id] = nil
        fired.insert(id)
        // As a handler does: sets its own next deadline, or another's.
        if Bool.random(using: &random) { change(&wheel, &model, now, &random) }
      }
      #expect(model.overdue(now: now) == [], "late: seed \(seed)")
    }
  }

  private func change(_ wheel: inout Deadlines, _ model: inout Model, _ now: Int64, _ random: inout SeededGenerator) {
    let id = UInt32.random(in: 0..<24, using: &random)
    switch Int.random(in: 0..<8, using: &random) {
    case 0:
      wheel.clear(id)
      model.due[id] = nil
    case 1:
      wheel.set(id, at: .max)
      model.due[id] = nil
    case 2: set(id, at: now - 20, now)
    case 3: set(id, at: now + .random(in: 0..<200_000, using: &random), now)
    case 4: set(id, at: now + 8_192 + .random(in: -20...20, using: &random), now)
    default: set(id, at: now + .random(in: 0..<500, using: &random), now)
    }
    func set(_ id: UInt32, at due: Int64, _ now: Int64) {
      wheel.set(id, at: due)
      model.set(id, at: due, now: now)
    }
  }

  private func step(_ random: inout SeededGenerator) -> Int64 {
    switch Int.random(in: 0..<12, using: &random) {
    case 0: .random(in: 8_000..<8_400, using: &random)
    case 1: .random(in: 0..<100_000, using: &random)
    case 2: 0
    default: .random(in: 1..<60, using: &random)
    }
  }

  @Test func `is at most one tick late`() {
    for due in Int64(1_000)..<1_020 {
      var wheel = Deadlines(now: 990)
      wheel.set(3, at: due)
      var now = Int64(990)
      while wheel.popDue(now: now) == nil, now < 2_000 { now += 1 }
      #expect((due..<due + Deadlines.tickMilliseconds).contains(now))
    }
  }

  @Test(arguments: [Int64.max - 1, Int64.max - 7, Int64.max / 2])
  func `accepts a deadline far beyond the horizon`(due: Int64) {
    var wheel = Deadlines(now: 5)
    wheel.set(1, at: due)
    #expect(wheel.popDue(now: 1_000_000) == nil)
    #expect(wheel.untilNext(now: 1_000_000) != nil)
  }

  @Test func `does not fire for a cleared id, nor twice for the id's next user`() {
    var wheel = Deadlines(now: 0)
    wheel.set(7, at: 100)
    wheel.clear(7)
    wheel.set(7, at: 50)
    wheel.set(7, at: 100)
    #expect(wheel.popDue(now: 99) == nil)
    #expect(wheel.popDue(now: 104) == 7)
    #expect(wheel.popDue(now: 1_000) == nil)
  }

  @Test func `has no next tick when it is empty`() {
    #expect(Deadlines(now: 12_345).untilNext(now: 12_345) == nil)
  }
}
