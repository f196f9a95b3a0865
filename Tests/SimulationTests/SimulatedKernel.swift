import Reactor
import System
import TestValues

/// Linux as one loop sees it, with simulated time: nothing happens except what is on the agenda of the run.
///
/// Descriptors are reused immediately, lowest first, as on Linux: a caller that uses one after closing it gets another
/// connection's bytes.
final class SimulatedKernel: Kernel {
  private(set) var nanoseconds: Int64 = 1_000_000_000_000
  var milliseconds: Int64 { nanoseconds / 1_000_000 }
  var wallMicroseconds: Int64 { 1_800_000_000_000_000 + nanoseconds / 1_000 }
  var sockets: any SocketCalls { calls }
  let calls: SimulatedCalls
  var random: SeededGenerator
  /// Called when the agenda is empty and the loop has no deadline; returns false if nothing will happen.
  var onSilence: () -> Bool = { false }
  private(set) var turns = 0
  /// Nothing more would ever happen, or too much did; `onStuck` ends the loop.
  private(set) var isStuck = false
  var onStuck: () -> Void = {}

  private var agenda: [Appointment] = []
  private var order = 0
  private var events: [(tag: EventTag, readiness: Readiness)] = []

  private struct Appointment {
    let due: Int64
    let order: Int
    let act: () -> Void
  }

  private static let turnsMax = 200_000

  private let seed: UInt64

  init(seed: UInt64) {
    self.seed = seed
    random = SeededGenerator(state: seed)
    calls = SimulatedCalls()
  }

  /// Schedules something (milliseconds from now).
  func after(_ milliseconds: Int64, _ act: @escaping () -> Void) {
    order += 1
    // In milliseconds, so that entries due at the same time keep their order.
    let due = (self.milliseconds + milliseconds) * 1_000_000
    agenda.append(Appointment(due: due, order: order, act: act))
  }

  /// A random number of milliseconds: mostly 0, sometimes large.
  func someTime() -> Int64 {
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<6: 0
    case 6..<9: Int64.random(in: 1...20, using: &random)
    default: Int64.random(in: 20...400, using: &random)
    }
  }

  func tell(_ tag: EventTag, _ readiness: Readiness) { calls.extraEvents.append((tag, readiness)) }

  // MARK: Kernel

  func wait(timeout: Int64?) -> Int {
    turns += 1
    precondition(turns < 2 * Self.turnsMax, "the loop does not stop; seed \(seed)")
    if turns == Self.turnsMax { giveUp() }
    // Time passes while a loop is busy, too.
    if timeout == 0 { nanoseconds += 10_000 }
    let until = timeout.map { nanoseconds + $0 * 1_000_000 }
    while true {
      events = calls.takeEvents(using: &random)
      guard events.isEmpty else { return events.count }
      let next = agenda.min { ($0.due, $0.order) < ($1.due, $1.order) }
      guard let next, next.due <= until ?? .max else {
        guard let until else {
          if !onSilence() { giveUp() }
          continue
        }
        nanoseconds = max(nanoseconds, until)
        return 0
      }
      nanoseconds = max(nanoseconds, next.due)
      agenda.removeAll { $0.order == next.order }
      next.act()
    }
  }

  private func giveUp() {
    precondition(!isStuck, "the loop does not stop; seed \(seed)")
    isStuck = true
    onStuck()
  }

  func event(_ index: Int) -> (tag: EventTag, readiness: Readiness) { events[index] }

  func add(_ descriptor: Int32, _ tag: EventTag, interest: UInt32) throws(Errno) {
    try calls.watch(descriptor, tag)
  }

  func modify(_ descriptor: Int32, _ tag: EventTag, interest: UInt32) throws(Errno) {
    try calls.watch(descriptor, tag)
  }

  func remove(_ descriptor: Int32) { calls.unwatch(descriptor) }
}
