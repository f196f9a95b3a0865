import Reactor
import Testing

@testable import Upstream

@Suite struct FailedAddressTests {
  private func address(_ number: Int) -> SocketAddress { .ipv4(address: UInt32(number), port: 1) }

  @Test func `an address is skipped for 30 s, or until it takes a connection`() {
    let failed = FailedAddresses()
    failed.insert(address(1), now: 5)
    failed.insert(address(2), now: 5)
    #expect(failed.contains(address(1), now: 30_004) && !failed.contains(address(1), now: 30_005))
    #expect(!failed.contains(.ipv4(address: 1, port: 2), now: 5))
    failed.remove(address(2))
    #expect(!failed.contains(address(2), now: 5))
  }

  @Test func `there are at most 1,024, the latest ones`() {
    let failed = FailedAddresses()
    for number in 0..<2_000 { failed.insert(address(number), now: Int64(number)) }
    #expect(failed.count == FailedAddresses.countMax)
    #expect(failed.contains(address(1_999), now: 2_000) && failed.contains(address(976), now: 2_000))
    #expect(!failed.contains(address(975), now: 2_000))
    // Those whose time is over go first.
    failed.insert(address(3_000), now: 40_000)
    #expect(failed.count == 1 && failed.contains(address(3_000), now: 40_000))
  }
}
