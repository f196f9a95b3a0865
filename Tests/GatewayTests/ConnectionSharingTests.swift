import Foundation
import TestFolders
import TestSupport
import Testing

/// Instances that want more connections together than the gateway may open.
@Suite(.scopedFixtures) struct ConnectionSharingTests {
  @Test func `busy instances share the connections with one that never answers, and no request is rejected`() throws {
    let cores = try (0..<3).map { _ in
      try ScriptedUpstream { _ in
        // The rest of a round arrives meanwhile.
        Thread.sleep(forTimeInterval: 0.002)
        return .bytes(ScriptedUpstream.json("{}"))
      }
    }
    let silent = try ScriptedUpstream { _ in .stall([]) }
    let gateway = try RunningGateway(
      upstreams: cores.enumerated().map { ("core-\($0)", $1.port) } + [("silent", silent.port)],
      instance: ["limits": ["connections": 8, "queue": 8, "share": 1]],
      gateway: ["limits": ["connections": 100, "upstream_connections": 8]])
    // Four of each instance; all together take twice the connections that there may be.
    let sockets = try (0..<12).map { _ in try gateway.connect() }
    var readers = sockets.map { TestMessageReader($0) }
    func askAll() throws {
      for (index, socket) in sockets.enumerated() {
        try socket.send(testRequest("GET", "/proxy/balances?instance_id=core-\(index % 3)"))
      }
      for index in readers.indices { #expect(try readers[index].next()?.status == 200) }
    }
    try askAll()
    let stuck = try (0..<8).map { _ in try gateway.connect() }
    for socket in stuck { try socket.send(testRequest("GET", "/proxy/balances?instance_id=silent")) }
    for _ in 0..<20 { try askAll() }
    #expect((1...4).contains(silent.requests.count), "\(silent.requests.count): its share is 2")
    let opened = cores.reduce(0) { $0 + $1.connectionCount }
    // Without them, every round moves some.
    #expect(opened <= 24, "\(opened) connections for 252 requests")
    // Ends what waits for it.
    silent.stop()
    withExtendedLifetime(stuck) {}
  }
}
