import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Background

/// The end of the process, at which no thread may be in libcurl.
@Suite(.scopedFixtures) struct BackgroundTransfersTests {
  @Test func `transfers that hang end within a second or so, and none follows`() throws {
    let server = try ListeningSocket(backlog: 16)
    defer { server.stop() }
    let transfers = BackgroundTransfers()
    let ended = Atomic<Int>(0)
    var endpoint = IntrospectionEndpoint(
      url: "http://127.0.0.1:\(server.port)/i", clientID: Array("a".utf8), clientSecret: Array("b".utf8))
    endpoint.timeoutMilliseconds = 60_000
    var health = HealthEndpoint(url: "http://127.0.0.1:\(server.port)/health")
    health.timeoutMilliseconds = 60_000
    let (client, prober) = (IntrospectionClient(endpoint, transfers), HealthProber(transfers))
    #expect(
      client.ask([0x61], from: QuestionSource(high: 0, low: 0), isKnown: false) { _ in ended.add(1, ordering: .relaxed)
      })
    prober.probe(health) { _ in ended.add(1, ordering: .relaxed) }
    #expect(eventually { transfers.runningCount == 2 })
    #expect(transfers.stop(withinMilliseconds: 5_000))
    #expect(transfers.runningCount == 0)
    #expect(eventually { ended.load(ordering: .relaxed) == 2 })
    // These end at once: the server would never answer.
    #expect(
      client.ask([0x62], from: QuestionSource(high: 0, low: 0), isKnown: false) { _ in ended.add(1, ordering: .relaxed)
      })
    prober.probe(health) { _ in ended.add(1, ordering: .relaxed) }
    #expect(eventually { ended.load(ordering: .relaxed) == 4 })
    #expect(transfers.stop(withinMilliseconds: 0))
  }

  @Test func `waits no longer than the caller allows`() {
    let transfers = BackgroundTransfers()
    #expect(transfers.begin())
    #expect(!transfers.stop(withinMilliseconds: 10))
    transfers.end()
    #expect(!transfers.begin())
  }
}
