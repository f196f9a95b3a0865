import HTTP1
import Policies
import TestValues
import Testing

@testable import Fronts

@Suite struct ForwardedClientTests {
  @Test(arguments: try ForwardedVector.all())
  func `finds the client`(vector: ForwardedVector) throws {
    let read = try #require(FrontProperties.read(vector.lines, from: vector.peer, trusting: vector.networks))
    #expect(read.client == vector.client)
    #expect(read.expected == vector.client)
  }

  /// Fields that are not the list, though they have the same kind or a similar name.
  @Test(arguments: [
    "X-Forwarded-For: 192.0.2.9\r\nX_Forwarded_For: 192.0.2.1",
    "X-Forwarded-For: 192.0.2.9\r\nX.Forwarded.For: unknown",
    "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For2: unknown", "X-Forwarded-For: 192.0.2.9\r\nForwarded: for=192.0.2.1",
    "X-Forwarded-For: 192.0.2.9\r\nX-Real-IP: 192.0.2.1", "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded: 192.0.2.1",
    "X-Real-IP: 192.0.2.1\r\nX-FORWARDED-FOR: 192.0.2.9\r\nX-Client-IP: 192.0.2.1",
    "x-forwarded-for: 192.0.2.9\r\nX-Forwarded-Fox: 192.0.2.1\r\nX-Forwarded-Host: 192.0.2.1",
    // Whatever Connection names is meant for this recipient (RFC 9110 §7.6.1).
    "Connection: close, X-Forwarded-For\r\nX-Forwarded-For: 192.0.2.9",
  ])
  func `reads only the field itself`(lines: String) throws {
    let read = try #require(self.read(lines + "\r\n"))
    #expect(read.client == ForwardedClient(client: .ip(IPAddress(ipv4: 0xc000_0209)), isTLS: false))
    #expect(read.expected == read.client)
  }

  @Test(arguments: [
    "X_Forwarded_Proto: https", "X-Forwarded-Protocol: https", "X-Forwarded-Ssl: on", "Front-End-Https: on",
  ])
  func `reads only the protocol's own field`(line: String) throws {
    #expect(try #require(read("\(line)\r\n")).client.isTLS == false)
    #expect(try #require(read("\(line)\r\nX-Forwarded-PROTO: https\r\n\(line)\r\n")).client.isTLS)
  }

  @Test func `takes the peer without any field of a front`() throws {
    #expect(try #require(read("Accept: */*\r\n")).client == ForwardedClient(client: Self.peer, isTLS: false))
  }

  @Test(arguments: [1, 2, UInt64.random(in: .min ... .max)])
  func `agrees with the reference on random field lines`(seed: UInt64) throws {
    var generator = SeededGenerator(state: seed)
    var found: [PeerAddress: Int] = [:]
    for _ in 0..<4_000 {
      let lines = RandomLines.make(using: &generator)
      let peer = FrontProperties.peers.randomElement(using: &generator)!
      let networks = FrontProperties.networks.randomElement(using: &generator)!
      let read = try #require(FrontProperties.read(lines, from: peer, trusting: networks))
      #expect(read.client == read.expected, "seed \(seed), \(String(decoding: lines, as: UTF8.self))")
      found[read.client.client, default: 0] += 1
    }
    // A fixed seed decides it once: a random one may fall short by chance.
    guard seed <= 2 else { return }
    #expect(found[.unknown, default: 0] < 2_500 && found.count > 20, "the lines are too wild or too tame")
  }

  private static let peer = PeerAddress.ip(IPAddress(ipv4: 0x0a09_0909))

  private func read(_ lines: String) -> (client: ForwardedClient, expected: ForwardedClient)? {
    FrontProperties.read(Array(lines.utf8), from: Self.peer, trusting: [])
  }
}

private enum RandomLines {
  private static let elements = [
    "10.0.0.1", "10.1.2.3", "10.255.255.255", "192.0.2.1", "192.0.2.2", "203.0.113.9", "fd00::1", "2001:db8::1",
    "[fd00::2]", "[2001:db8::2]:80", "10.0.0.4:1", "192.0.2.1:65535", "::ffff:10.0.0.1", "", " ", "unknown", "_x",
    "[::1",
  ]
  private static let snippets = ["[", "]", ":", ".", "0", "1", ",", " ", "\t", "x", "::", ":80"]

  static func make(using generator: inout SeededGenerator) -> [UInt8] {
    (0..<Int.random(in: 0...4, using: &generator)).flatMap { _ in
      let name = ["X-Forwarded-For", "x-forwarded-for", "X-Forwarded-Proto", "X_Forwarded_For", "Accept"]
        .randomElement(using: &generator)!
      return Array("\(name): \(value(name, using: &generator))\r\n".utf8)
    }
  }

  private static func value(_ name: String, using generator: inout SeededGenerator) -> String {
    let isLong = Int.random(in: 0..<16, using: &generator) == 0
    let common = name == "X-Forwarded-Proto" ? ["https", "http", "HTTPS", "", " x"] : elements
    let list = (0..<Int.random(in: isLong ? 28...36 : 0...5, using: &generator)).map { _ in
      isLong ? common.first! : common.randomElement(using: &generator)!
    }
    var text = Array(list.joined(separator: [",", ", ", " ,\t"].randomElement(using: &generator)!))
    if Int.random(in: 0..<6, using: &generator) == 0 {
      text.insert(
        contentsOf: snippets.randomElement(using: &generator)!, at: Int.random(in: 0...text.count, using: &generator))
    }
    return String(text)
  }
}
