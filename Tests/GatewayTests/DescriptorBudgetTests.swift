import Testing

@testable import Gateway
@testable import Policies

@Suite struct DescriptorBudgetTests {
  /// The two bounds as a file sets them; nil: the default.
  private func limits(_ connections: Int?, _ upstream: Int?) -> GatewayLimits {
    var limits = GatewayLimits()
    limits.connectionsMax = connections ?? limits.connectionsMax
    limits.upstreamConnectionsMax = upstream ?? limits.upstreamConnectionsMax
    limits.statesConnections = connections != nil
    limits.statesUpstreamConnections = upstream != nil
    return limits
  }

  @Test func `the sum counts a downstream connection once, an upstream one three times, and a loop twice`() {
    #expect(DescriptorBudget(limits: limits(1_000, 100), loops: 4).needed == 1_000 + 300 + 8 + 128)
  }

  @Test(arguments: [1_024, 4_096, 18_275, 1 << 20])
  func `defaults shrink to fit, and no more than needed`(available: Int) throws {
    let fitted = try #require(DescriptorBudget(limits: limits(nil, nil), loops: 2).fitted(to: available))
    let needed = DescriptorBudget(limits: fitted, loops: 2).needed
    #expect(needed <= available && (needed > available - 3 || fitted == limits(nil, nil)))
  }

  @Test func `a configured bound is kept, and the other one shrinks`() throws {
    let connections = try #require(DescriptorBudget(limits: limits(2_000, nil), loops: 1).fitted(to: 4_096))
    #expect(connections.connectionsMax == 2_000 && connections.upstreamConnectionsMax == (4_096 - 130 - 2_000) / 3)
    let upstream = try #require(DescriptorBudget(limits: limits(nil, 1_000), loops: 1).fitted(to: 4_096))
    #expect(upstream.connectionsMax == 4_096 - 130 - 3_000 && upstream.upstreamConnectionsMax == 1_000)
  }

  @Test(arguments: [(4_000, 1_000), (5_000, nil), (nil, 2_000)] as [(Int?, Int?)])
  func `configured bounds that do not fit are rejected`(connections: Int?, upstream: Int?) {
    #expect(DescriptorBudget(limits: limits(connections, upstream), loops: 1).fitted(to: 4_096) == nil)
  }

  @Test func `a tiny number of descriptors is rejected`() {
    #expect(DescriptorBudget(limits: limits(nil, nil), loops: 1).fitted(to: 100) == nil)
  }
}
