import Dispatch
import Synchronization
import Testing

@testable import System

@Suite struct WakeSignalTests {
  @Test func `many signals end one wait`() {
    let signal = WakeSignal()
    for _ in 0..<3 { signal.signal() }
    signal.wait(atMost: nil)
    let begin = DispatchTime.now()
    signal.wait(atMost: 0.02)
    #expect(DispatchTime.now().uptimeNanoseconds - begin.uptimeNanoseconds >= 20_000_000)
    signal.signal()
    signal.wait(atMost: nil)
  }

  @Test func `no work is left waiting, whenever it arrives`() {
    let signal = WakeSignal()
    let queue = Mutex(0)
    let count = 20_000
    let threads = DispatchQueue(label: "work", attributes: .concurrent)
    for _ in 0..<2 {
      threads.async {
        for _ in 0..<count {
          queue.withLock { $0 += 1 }
          signal.signal()
        }
      }
    }
    var taken = 0
    let end = DispatchTime.now() + 30
    while taken < 2 * count, DispatchTime.now() < end {
      signal.wait(atMost: 10)
      taken += queue.withLock { waiting in
        defer { waiting = 0 }
        return waiting
      }
    }
    #expect(taken == 2 * count)
  }
}
