import Dispatch
import Foundation
import OAuth
import Synchronization
import TestSupport
import Testing

@testable import Gateway

@Suite struct GrantRegistryTests {
  private final class Announced: Sendable {
    let isFirstUnderWay = Atomic<Bool>(false)
    let counts = Mutex<[Int]>([])
  }

  @Test func `a set of revoked ids that takes long to announce does not replace a newer one`() {
    let announced = Announced()
    let registry = GrantRegistry(
      now: 0,
      announce: { ids in
        if ids.count == 1 {
          announced.isFirstUnderWay.store(true, ordering: .releasing)
          Thread.sleep(forTimeInterval: 0.3)
        }
        announced.counts.withLock { $0.append(ids.count) }
      }, report: { _ in })
    var generator = SystemRandomNumberGenerator()
    let (first, second) = (TokenID(using: &generator), TokenID(using: &generator))
    let group = DispatchGroup()
    DispatchQueue.global().async(group: group) { registry.revoke(first, until: .max) { _ in } }
    #expect(eventually { announced.isFirstUnderWay.load(ordering: .acquiring) })
    registry.revoke(second, until: .max) { _ in }
    group.wait()
    #expect(announced.counts.withLock { $0 } == [1, 2])
  }
}
