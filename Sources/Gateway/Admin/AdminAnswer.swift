import Bytes
import HTTP1
import Reactor
import SmallServer

/// What an answer of the admin endpoint holds.
enum AdminText {
  /// - Parameters:
  ///   - line: the body, without the newline at its end.
  ///   - field: one more header line, with its line end.
  case plain(_ status: Int, _ line: String, field: String = "")
  /// 200, with a body of unknown length.
  case streamed(_ contentType: String)
}

/// An answer of the admin endpoint on its way.
struct AdminAnswer {
  private let text: AdminText
  private let dateLine: [UInt8]
  private var version = Version.http11
  private var hasBody = true
  private var keepsAlive = false

  /// An answer to bytes that are no request.
  init(_ text: AdminText, dateLine: [UInt8]) {
    self.text = text
    self.dateLine = dateLine
  }

  /// Makes it an answer to a request.
  mutating func suit(_ head: borrowing RequestHead) {
    version = head.version
    hasBody = head.method != .head
    // RFC 9112 §6.3: without chunks, only the end of the connection ends a body of unknown length.
    keepsAlive = head.keepAlive && !(version == .http10 && text.isStreamed)
  }

  func write(to output: ByteBuffer) {
    switch text {
    case .plain(let status, let line, let field):
      writeBeginning(status, "text/plain; charset=utf-8", to: output)
      output.append(text: "\(field)Content-Length: \(line.utf8.count + 1)\r\n\r\n")
      if hasBody { output.append(text: "\(line)\n") }
    case .streamed(let contentType):
      writeBeginning(200, contentType, to: output)
      output.append(text: version == .http11 ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n")
    }
  }

  private func writeBeginning(_ status: Int, _ contentType: String, to output: ByteBuffer) {
    output.append(text: "HTTP/1.1 \(status) ")
    output.append(LocalReply.reason(status))
    output.append(text: "\r\nContent-Type: \(contentType)\r\nCache-Control: no-store\r\n")
    output.append(dateLine)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
  }

  /// What is left to be done of a streamed answer.
  func rest(_ parts: AdminParts?) -> SmallAnswer {
    guard hasBody, let parts else { return SmallAnswer(keepsAlive: keepsAlive) }
    let isChunked = version == .http11
    return SmallAnswer(keepsAlive: keepsAlive) { output in
      guard let part = parts() else {
        if isChunked { output.append("0\r\n\r\n") }
        return false
      }
      if isChunked { output.append(text: "\(String(part.count, radix: 16))\r\n") }
      output.append(part)
      if isChunked { output.append("\r\n") }
      return true
    }
  }
}

extension AdminText {
  fileprivate var isStreamed: Bool {
    switch self {
    case .plain: false
    case .streamed: true
    }
  }
}
