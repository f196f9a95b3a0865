import Synchronization
import TestSupport

/// One gateway and one Core for all probes of this process; each probe has a tag that marks its requests.
final class Stage: Sendable {
  let core: ScriptedUpstream
  let gateway: RunningGateway
  private let count = Atomic<Int>(0)

  static let shared = Result { try Fixtures.shared { try Stage() } }

  /// The fields that every request needs.
  static let lines = "Host: gate\r\nAuthorization: Bearer \(TestPolicyFolder.token)\r\n"

  private init() throws {
    core = try ScriptedUpstream { request in
      let message = request.message
      guard !message.startLine.hasPrefix("HEAD ") else {
        return .bytes(Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".utf8))
      }
      let fields = message.fields.map { "\($0.name): \($0.value)" }.joined(separator: "\n")
      return .bytes(ScriptedUpstream.json("\(message.startLine)\n\(fields)\n\n\(message.bodyText)"))
    }
    gateway = try RunningGateway(upstreams: [("one", core.port)])
  }

  static func target(_ tag: String) -> String { "/proxy/balances?probe=\(tag)&instance_id=one" }

  func newTag() -> String { "p\(count.add(1, ordering: .relaxed).newValue)x" }

  /// How many requests with this tag have reached Core.
  func requests(_ tag: String) -> Int {
    core.requests.count { $0.message.startLine.contains("probe=\(tag)") }
  }
}
