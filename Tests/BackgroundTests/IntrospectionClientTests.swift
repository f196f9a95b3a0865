import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Background

/// Questions to one endpoint: how many at once, and how many wait.
@Suite(.scopedFixtures) struct IntrospectionClientTests {
  private final class Replies: Sendable {
    let all = Mutex<[String]>([])

    func add(_ reply: IntrospectionReply) {
      let text =
        switch reply {
        case .answered(let status, let body): "\(status) \(String(decoding: body, as: UTF8.self))"
        case .failed(let message), .notAsked(let message): message
        }
      all.withLock { $0.append(text) }
    }

    var count: Int { all.withLock { $0.count } }
  }

  private static let near = QuestionSource(high: 0, low: 1)
  private static let far = QuestionSource(high: 0, low: 2)

  private static func endpoint(_ port: UInt16, milliseconds: Int = 30_000) -> IntrospectionEndpoint {
    var endpoint = IntrospectionEndpoint(
      url: "http://127.0.0.1:\(port)/i", clientID: Array("a:b".utf8), clientSecret: Array("c%d ü".utf8))
    endpoint.timeoutMilliseconds = milliseconds
    return endpoint
  }

  @Test func `16 questions run at once, 4 of them about known tokens, 256 of each kind wait; all are answered once`()
    throws
  {
    let mayAnswer = Atomic<Bool>(false)
    let server = try ScriptedUpstream { _ in
      _ = eventually { mayAnswer.load(ordering: .relaxed) }
      return .bytes(ScriptedUpstream.json("{}"))
    }
    let (client, replies) = (IntrospectionClient(Self.endpoint(server.port), BackgroundTransfers()), Replies())
    let waitingMax = QuestionQueue<Int>.waitingMax
    for _ in 0..<12 { #expect(client.ask([0x61], from: Self.near, isKnown: false) { replies.add($0) }) }
    #expect(eventually { server.requests.count == 12 })
    for _ in 0..<waitingMax { #expect(client.ask([0x62], from: Self.near, isKnown: false) { replies.add($0) }) }
    #expect(!client.ask([0x63], from: Self.near, isKnown: false) { replies.add($0) })
    // Four places, and a queue, are for known tokens.
    for _ in 0..<4 { #expect(client.ask([0x64], from: Self.near, isKnown: true) { replies.add($0) }) }
    #expect(eventually { server.requests.count == IntrospectionClient.threadsMax })
    for _ in 0..<waitingMax { #expect(client.ask([0x65], from: Self.near, isKnown: true) { replies.add($0) }) }
    #expect(!client.ask([0x66], from: Self.near, isKnown: true) { replies.add($0) })
    #expect(server.connectionCount == IntrospectionClient.threadsMax)
    // Another address has a share, and takes it from the one that has the most.
    #expect(client.ask([0x67], from: Self.far, isKnown: false) { replies.add($0) })
    #expect(eventually { replies.all.withLock(\.self) == [IntrospectionClient.fullMessage] })
    mayAnswer.store(true, ordering: .relaxed)
    let all = IntrospectionClient.threadsMax + 2 * waitingMax
    #expect(eventually { replies.count == all + 1 })
    #expect(replies.all.withLock { Set($0) } == ["200 {}", IntrospectionClient.fullMessage])
    #expect(server.requests.count == all)
    #expect(client.ask([0x68], from: Self.near, isKnown: false) { replies.add($0) })
    #expect(eventually { replies.count == all + 2 } && server.connectionCount == IntrospectionClient.threadsMax)
  }

  @Test func `id and secret are form-encoded before HTTP Basic encodes them`() throws {
    let server = try ScriptedUpstream(answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    guard case .answered(200, _) = IntrospectionClient.askNow(Self.endpoint(server.port), Array("t&k=1".utf8)) else {
      Issue.record("no answer")
      return
    }
    let message = try #require(server.requests.first?.message)
    #expect(message["Authorization"] == "Basic " + Data("a%3Ab:c%25d%20%C3%BC".utf8).base64EncodedString())
    #expect(message.bodyText == "token=t%26k%3D1&token_type_hint=access_token")
  }

  @Test func `an answer that does not end is given up at its bound`() throws {
    let server = try ScriptedUpstream { _ in
      .bytes(Array("HTTP/1.1 200 OK\r\n\r\n".utf8) + [UInt8](repeating: 0x20, count: 70_000))
    }
    guard case .failed(let message) = IntrospectionClient.askNow(Self.endpoint(server.port), [0x61]) else {
      Issue.record("an answer")
      return
    }
    #expect(message == "the answer is longer than 64 KiB")
  }

  @Test func `redirects are not followed`() throws {
    let other = try ScriptedUpstream(answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    let server = try ScriptedUpstream(
      answer: "HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:\(other.port)/i\r\nContent-Length: 0\r\n\r\n")
    guard case .answered(307, _) = IntrospectionClient.askNow(Self.endpoint(server.port), [0x61]) else {
      Issue.record("no answer")
      return
    }
    #expect(other.requests.isEmpty)
  }

  @Test func `a hanging endpoint costs its timeout`() throws {
    let server = try ScriptedUpstream { _ in .stall([]) }
    let start = Date()
    guard case .failed = IntrospectionClient.askNow(Self.endpoint(server.port, milliseconds: 300), [0x61]) else {
      Issue.record("an answer")
      return
    }
    #expect((0.25..<5).contains(Date().timeIntervalSince(start)))
  }
}
