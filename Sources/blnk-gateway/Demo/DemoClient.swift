import Bytes
import HTTP1
import Reactor
import System

/// An answer as a caller sees it.
struct DemoAnswer {
  let status: Int
  let fields: [(name: String, value: String)]
  let body: [UInt8]

  var bodyText: String { String(decoding: body, as: UTF8.self) }

  func value(of name: String) -> String? {
    fields.first { field in field.name.lowercased() == name.lowercased() }?.value
  }

  /// The string that stands behind the first `"key":` of the body.
  func text(_ key: String) -> String? {
    guard let start = bodyText.firstRange(of: "\"\(key)\":\"")?.upperBound else { return nil }
    return String(bodyText[start...].prefix { $0 != "\"" })
  }
}

/// A caller that sends bytes as they are given, bad HTTP too, on one connection as long as the gateway keeps it.
final class DemoClient {
  private static let secondsMax = 10
  private static let answerBytesMax = 16 << 20

  private let address: SocketAddress
  private let output = ByteBuffer(capacity: 16 << 10)
  private let input = ByteBuffer(capacity: 16 << 10)

  init(_ address: SocketAddress) { self.address = address }

  /// Sends each request on one connection, and reads its answer before the next. When an answer announces the end of the
  /// connection, it waits for that end and opens another for the rest.
  func call(_ requests: [String]) throws(CommandFault) -> [DemoAnswer] {
    do throws(Errno) {
      var answers: [DemoAnswer] = []
      var rest = requests[...]
      while !rest.isEmpty {
        let socket = try BlockingSocket(connectingTo: address, waitingAtMost: Self.secondsMax)
        input.removeAll()
        var isOpen = true
        while isOpen, let request = rest.popFirst() {
          output.removeAll()
          output.append(text: request)
          try socket.send(output)
          guard let answer = try readAnswer(socket, isHead: request.hasPrefix("HEAD ")) else {
            throw Errno(71)
          }
          answers.append(answer)
          isOpen = answer.value(of: "Connection") != "close"
        }
        if !isOpen, try socket.receive(into: input) > 0 { throw Errno(71) }
      }
      return answers
    } catch {
      throw .failed("the gateway did not answer as HTTP/1.1 wants: \(error)")
    }
  }

  /// nil: no answer, or none that can be read.
  private func readAnswer(_ socket: borrowing BlockingSocket, isHead: Bool) throws(Errno) -> DemoAnswer? {
    var parser = ResponseHeadParser(limits: HeadLimits())
    while true {
      do throws(ResponseFault) {
        let isWhole = try input.withBytes { bytes throws(ResponseFault) in
          try parser.parse(bytes, answering: isHead ? .head : .get)
        }
        if isWhole { break }
      } catch {
        return nil
      }
      guard try socket.receive(into: input) > 0 else { return nil }
    }
    let fields = parser.head.fields.map { (name: text($0.name), value: text($0.value)) }
    input.remove(0..<parser.head.byteCount)
    guard let body = try readBody(socket, parser.head.framing) else { return nil }
    return DemoAnswer(status: parser.head.status, fields: fields, body: body)
  }

  private func readBody(_ socket: borrowing BlockingSocket, _ framing: BodyFraming) throws(Errno) -> [UInt8]? {
    switch framing {
    case .none: return []
    case .untilClose: return nil
    case .length(let length):
      while input.count < length { guard try socket.receive(into: input) > 0 else { return nil } }
      return take(length)
    case .chunked: return try readChunks(socket)
    }
  }

  private func readChunks(_ socket: borrowing BlockingSocket) throws(Errno) -> [UInt8]? {
    var decoder = ChunkedDecoder()
    var body: [UInt8] = []
    while body.count < Self.answerBytesMax {
      var offset = 0
      var isEnd = false
      let isGood = input.withBytes { bytes in
        do throws(ChunkFault) {
          while true {
            switch try decoder.next(bytes, &offset) {
            case .data(let run): for index in run { body.append(bytes[index]) }
            case .needsMore: return true
            case .end:
              isEnd = true
              return true
            }
          }
        } catch {
          return false
        }
      }
      guard isGood else { return nil }
      input.remove(0..<offset)
      if isEnd { return body }
      guard try socket.receive(into: input) > 0 else { return nil }
    }
    return nil
  }

  private func take(_ count: Int) -> [UInt8] {
    let bytes = (0..<count).map { index in input[index] }
    input.remove(0..<count)
    return bytes
  }

  private func text(_ range: Range<Int>) -> String {
    String(decoding: range.map { index in input[index] }, as: UTF8.self)
  }
}
