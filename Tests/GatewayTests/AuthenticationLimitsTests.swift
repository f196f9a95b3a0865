import Policies
import Testing

@testable import Gateway

@Suite struct AuthenticationLimitsTests {
  private static func address(_ number: UInt32) -> PeerAddress { .ip(IPAddress(ipv4: number)) }

  @Test func `an address fails ten times at once, then once every 6 s`() {
    var limits = AuthenticationLimits()
    for _ in 0..<10 { #expect(limits.failed(Self.address(1), now: 1_000) == 0) }
    for _ in 0..<100 { #expect(limits.failed(Self.address(1), now: 1_000) == 6_000) }
    #expect(limits.failed(Self.address(2), now: 1_000) == 0)
    #expect(limits.failed(Self.address(1), now: 6_999) == 1)
    #expect(limits.failed(Self.address(1), now: 7_000) == 0 && limits.failed(Self.address(1), now: 7_000) == 6_000)
    for _ in 0..<10 { #expect(limits.failed(Self.address(1), now: 100_000) == 0) }
    #expect(limits.failed(Self.address(1), now: 100_000) == 6_000)
  }

  @Test func `remembers 5,000 addresses or more, the latest ones`() {
    var limits = AuthenticationLimits()
    for number in 0..<30_001 {
      for _ in 0..<10 { #expect(limits.failed(Self.address(UInt32(number)), now: 0) == 0) }
    }
    let remembered = (0..<30_001).reversed().prefix { limits.failed(Self.address(UInt32($0)), now: 0) > 0 }
    #expect((RecentAddresses.countMax...2 * RecentAddresses.countMax).contains(remembered.count))
  }
}
