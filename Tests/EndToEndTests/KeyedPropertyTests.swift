import Foundation
import TestSupport
import TestValues
import Testing

/// Random requests with idempotency keys in every state of the key, compared with a model of what the answers must be.
@Suite(.scopedFixtures) struct KeyedPropertyTests {
  @Test(arguments: [1, UInt64.random(in: 0...UInt64.max)])
  func `the answer to any request in any state of its key is that of the table`(seed: UInt64) throws {
    let stage = try KeyedStage(loops: 2, idempotency: ["response_bytes_max": 1_024])
    var run = Run(stage: stage, random: SeededGenerator(state: seed))
    for _ in 0..<300 { try run.step("seed \(seed)") }
  }

  private enum State {
    case free
    case done(status: Int, body: String)
    case notKept
    case unknown
  }

  private struct Key {
    var state = State.free
    /// Of the request that has the key.
    var body = ""
    var target = ""
  }

  private struct Run {
    let stage: KeyedStage
    var random: SeededGenerator
    var keys = [String: Key]()
    var executions = 0

    private static let targets = ["/proxy/balances?instance_id=one", "/proxy/balances?instance_id=one&a=1"]

    mutating func step(_ note: String) throws {
      switch Int.random(in: 0..<40, using: &random) {
      case 0: try stage.restart(killing: Bool.random(using: &random))
      case 1:
        #expect(try stage.write("a", token: TestPolicyFolder.readToken).status == 403, "\(note)")
      case 2:
        #expect(try stage.write("a", token: "blnk_at_unknown").status == 401, "\(note)")
      case 3:
        executions += 1
        stage.answers("200 OK")
        #expect(try stage.write("a", method: "GET").verdict == "200", "\(note)")
      case 4:
        executions += 1
        stage.answers("200 OK")
        #expect(try stage.write(nil).verdict == "200", "\(note)")
      default: try write(note)
      }
      #expect(stage.executions == executions, "\(note)")
    }

    private mutating func write(_ note: String) throws {
      let name = ["a", "b", "c", "d", "e", "f", "g", "h"][Int.random(in: 0..<8, using: &random)]
      let body = #"{"name":"\#(Int.random(in: 0..<2, using: &random))"}"#
      let target = Self.targets[Int.random(in: 0..<6, using: &random) == 0 ? 1 : 0]
      let (first, next) = answer()
      // "a" and a are the same key.
      let field = Bool.random(using: &random) ? name : "\"\(name)\""
      let found = try stage.write(field, body, target: target)
      let key = keys[name] ?? Key()
      let expected: String
      switch key.state {
      case .free:
        expected = first
        executions += 1
        keys[name] = Key(state: next, body: body, target: target)
      case _ where key.body != body || key.target != target: expected = "422 GATEWAY_IDEMPOTENCY_KEY_REUSED"
      case .done(let status, let text):
        expected = "\(status) replayed"
        #expect(found.bodyText == text, "\(note)")
      case .notKept: expected = "409 GATEWAY_IDEMPOTENCY_RESPONSE_NOT_KEPT"
      case .unknown: expected = "409 GATEWAY_OUTCOME_UNKNOWN"
      }
      // A cut is seen as an end or as a reset of the connection.
      let verdict = found.verdict.hasPrefix("502 GATEWAY_UPSTREAM") ? "502" : found.verdict
      #expect(verdict == expected, "\(note): \(key), \(found.bodyText)")
    }

    /// Prepares Core's answer; the verdict of the first request that gets it, and the state of its key afterwards.
    private mutating func answer() -> (String, State) {
      let number = Int.random(in: 0..<1_000, using: &random)
      let text = #"{"number":\#(number)}"#
      let statuses = [200, 201, 202, 301, 400, 404, 409, 423, 500, 502, 503]
      switch Int.random(in: 0..<8, using: &random) {
      case 0:
        stage.answers("429 Too Many Requests", text)
        return ("429", .free)
      case 1:
        stage.answers { _ in .last(Array("HTTP/1.1 201 Created\r\nContent-Length: 21\r\n\r\n{".utf8)) }
        return ("502", .unknown)
      case 2:
        stage.answers("201 Created", #"{"number":"\#(String(repeating: "9", count: 2_000))"}"#)
        return ("201", .notKept)
      default:
        let status = statuses[number % statuses.count]
        stage.answers("\(status) Any", text)
        return ("\(status)", .done(status: status, body: text))
      }
    }
  }
}
