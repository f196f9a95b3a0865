import Dispatch
import Synchronization
import TestSupport
import Testing

@testable import Background

/// Questions to instances about records.
@Suite(.scopedFixtures) struct RecordClientTests {
  private final class Replies: Sendable {
    private let all = Mutex<[String]>([])

    func add(_ reply: RecordReply) {
      let text =
        switch reply {
        case .answered(let status, let body): "\(status) \(String(decoding: body, as: UTF8.self))"
        case .unreadable(let message), .failed(let message), .notAsked(let message): message
        }
      all.withLock { $0.append(text) }
    }

    var sorted: [String] { all.withLock { $0.sorted() } }
  }

  /// Instances whose URLs have the name of their common certificate.
  private static func endpoint(_ server: ScriptedUpstream) -> RecordEndpoint {
    var endpoint = RecordEndpoint(url: "http://core.internal:5001", host: "core.internal", key: Array("key".utf8))
    endpoint.connectTo = "core.internal:5001:127.0.0.1:\(server.port)"
    return endpoint
  }

  private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
  }

  private static func server(_ text: String, _ mayAnswer: Flag) throws -> ScriptedUpstream {
    try ScriptedUpstream { _ in
      _ = eventually { mayAnswer.isSet }
      return .bytes(ScriptedUpstream.json(text))
    }
  }

  private static var deadline: DispatchTime { .now() + .seconds(10) }

  @Test func `instances with one URL and different addresses are asked apart`() throws {
    let mayAnswer = Flag()
    let (first, second) = (try Self.server("first", mayAnswer), try Self.server("second", mayAnswer))
    let (client, replies) = (RecordClient(BackgroundTransfers()), Replies())
    for server in [first, second] {
      client.read("/identities/a", of: Self.endpoint(server), until: Self.deadline) { replies.add($0) }
    }
    #expect(eventually { first.requests.count == 1 && second.requests.count == 1 })
    mayAnswer.set()
    #expect(eventually { replies.sorted == ["200 first", "200 second"] })
  }

  @Test func `a question joins another one about the record, unless its answer must be fresh`() throws {
    let mayAnswer = Flag()
    let server = try Self.server("x", mayAnswer)
    let (client, replies) = (RecordClient(BackgroundTransfers()), Replies())
    func ask(_ path: String, isFresh: Bool) {
      client.read(path, of: Self.endpoint(server), isFresh: isFresh, until: Self.deadline) { replies.add($0) }
    }
    for path in ["/a", "/b"] { ask(path, isFresh: false) }
    #expect(eventually { server.requests.count == 2 })
    for path in ["/a", "/b", "/a"] { ask(path, isFresh: false) }
    // Two are under way, so these wait for one of them, as one question.
    for _ in 0..<3 { ask("/a", isFresh: true) }
    ask("/a", isFresh: false)
    mayAnswer.set()
    #expect(eventually { replies.sorted == [String](repeating: "200 x", count: 9) })
    #expect(
      server.requests.map { $0.message.startLine.suffix(11) }.sorted() == ["/a HTTP/1.1", "/a HTTP/1.1", "/b HTTP/1.1"])
  }
}
