import HTTP1
import Testing

@testable import Policies

@Suite struct GrantTests {
  @Test(arguments: 0..<40)
  func `grants the instances of the list and no others`(count: Int32) {
    let granted = (0..<count).map { 3 * $0 }
    let grant = InstanceGrant.only(granted)
    for instance in -1...3 * count { #expect(grant.contains(instance) == granted.contains(instance)) }
    #expect(InstanceGrant.all.contains(count))
  }

  @Test func `keeps 64 scopes apart`() {
    for bit in 0..<64 {
      var set = ScopeSet()
      set.insert(bit: bit)
      #expect((0..<64).filter(set.contains) == [bit])
    }
    #expect((0..<64).allSatisfy(ScopeSet.all.contains) && !(0..<64).contains(where: ScopeSet().contains))
  }

  @Test(arguments: [
    (["0.0.0.0/0", "::/0"], true, true, true), (["0.0.0.0/0"], true, false, false), (["::/0"], false, true, false),
    (["10.0.0.0/8", "::1"], false, true, false), (["0.0.0.0/1", "::/0"], false, true, false),
  ])
  func `knows whom networks let in`(networks: [String], ipv4: Bool, ipv6: Bool, noAddress: Bool) throws {
    let grant = NetworkGrant(try networks.map { try #require(Network($0)) })
    #expect(grant.contains(.ip(IPAddress(ipv4: 0xc000_0201))) == ipv4)
    #expect(grant.contains(.ip(IPAddress(high: 0, low: 1))) == ipv6)
    #expect(grant.contains(.unix) == noAddress)
    #expect(grant.contains(.unknown) == noAddress)
  }

  @Test func `has a place for every method`() {
    #expect(Method.allCases.count == 10)
  }
}
