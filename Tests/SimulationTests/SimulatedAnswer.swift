import TestSupport
import TestValues

/// What a Core may do with a request.
enum CoreConduct: CaseIterable {
  case answers, answersLate, pauses, saysClose, saysMore, saysMoreBehindFullRead, babblesSoon, babblesLater, endsSoon
  case endsLater
  case answersUntilClose, breaksOff, babbles, neverAnswers, endsOutput, leaves

  /// Half of all requests are answered normally.
  static func any(using random: inout SeededGenerator) -> CoreConduct {
    Bool.random(using: &random) ? .answers : allCases.randomElement(using: &random) ?? .answers
  }
}

/// A response with the request's tag in its head, and repeated as its body.
struct SimulatedAnswer {
  private(set) var fields: [String]
  private(set) var body: [UInt8]
  private let hasBody: Bool

  /// An unsolicited response.
  static let stray = Array("HTTP/1.1 200 OK\r\nX-Tag: stray\r\nContent-Length: 6\r\n\r\nstray.".utf8)

  init(
    _ request: TestMessage, _ tag: String, _ conduct: CoreConduct = .answers, using random: inout SeededGenerator
  ) {
    let unitsMax = Int.random(in: 0..<8, using: &random) == 0 ? 4_000 : 60
    let whole = Array(String(repeating: tag + ".", count: Int.random(in: 0...unitsMax, using: &random)).utf8)
    hasBody = !request.startLine.hasPrefix("HEAD ")
    fields = ["X-Tag: \(tag)"]
    body = whole
    if conduct == .saysClose { fields.append("Connection: close") }
    if conduct == .answersUntilClose, hasBody { return }
    if Int.random(in: 0..<3, using: &random) == 0 {
      fields.append("Transfer-Encoding: chunked")
      body = Self.chunked(whole, using: &random)
    } else {
      fields.append("Content-Length: \(whole.count)")
    }
  }

  var bytes: [UInt8] {
    Array(("HTTP/1.1 200 OK\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n").utf8) + (hasBody ? body : [])
  }

  /// Makes it as long as one read, so that what follows it is not read with it.
  mutating func fill(_ count: Int, using random: inout SeededGenerator) {
    let lack = count - bytes.count - "X-Fill: \r\n".utf8.count
    if lack > 0 { fields.append("X-Fill: " + String(repeating: "x", count: lack)) }
  }

  private static func chunked(_ body: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = body[...]
    while !rest.isEmpty {
      let chunk = rest.prefix(Int.random(in: 1...5_000, using: &random))
      bytes += Array(String(chunk.count, radix: 16).utf8) + Array("\r\n".utf8) + chunk + Array("\r\n".utf8)
      rest = rest.dropFirst(chunk.count)
    }
    return bytes + Array("0\r\n\r\n".utf8)
  }
}
