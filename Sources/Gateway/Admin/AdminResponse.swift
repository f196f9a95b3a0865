import Bytes
import HTTP1
import Reactor
import SmallServer

/// The content of an admin response.
enum AdminContent {
  /// - Parameters:
  ///   - line: the body, without the final newline.
  ///   - fields: additional fields.
  case plain(_ status: Int, _ line: String, fields: [(name: String, value: String)] = [])
  /// 200, with a body of unknown length.
  case streamed(_ contentType: String, fields: [(name: String, value: String)] = [])
  /// Events for browsers (HTML Standard §9.2).
  case events
}

/// A response of the admin endpoint.
struct AdminResponse {
  private let content: AdminContent
  private let dateLine: [UInt8]
  private var version = Version.http11
  private var hasBody: Bool
  private var keepsAlive = false

  /// Makes a response that closes the connection.
  ///
  /// - Parameter hasBody: false if the request is HEAD.
  init(_ content: AdminContent, dateLine: [UInt8], hasBody: Bool = true) {
    self.content = content
    self.dateLine = dateLine
    self.hasBody = hasBody
  }

  /// Adapts it to a request.
  ///
  /// - Parameter mayPersist: whether the connection may stay open.
  mutating func adapt(to head: borrowing RequestHead, mayPersist: Bool) {
    version = head.version
    hasBody = head.method != .head
    keepsAlive =
      mayPersist && head.keepAlive && !content.isEvents && !(content.isStreamed && streamFraming.isUntilClose)
  }

  func write(to output: ByteBuffer) {
    switch content {
    case .plain(let status, let line, let fields):
      writeBeginning(status, "text/plain; charset=utf-8", fields, to: output)
      output.append(contentLength: line.utf8.count + 1)
      output.appendHeadEnd()
      if hasBody {
        output.append(text: line)
        output.append("\n")
      }
    case .streamed(let contentType, let fields): writeStreamBeginning(contentType, fields, to: output)
    case .events: writeStreamBeginning("text/event-stream", [], to: output)
    }
  }

  private func writeStreamBeginning(
    _ contentType: String, _ fields: [(name: String, value: String)], to output: ByteBuffer
  ) {
    writeBeginning(200, contentType, fields, to: output)
    output.append(framing: streamFraming)
    output.appendHeadEnd()
  }

  private func writeBeginning(
    _ status: Int, _ contentType: String, _ fields: [(name: String, value: String)], to output: ByteBuffer
  ) {
    output.append(statusLine: status)
    output.append(field: "Content-Type", text: contentType)
    output.append(field: "Cache-Control", "no-store")
    output.append(field: "X-Content-Type-Options", "nosniff")
    for field in fields { output.append(field: field.name, text: field.value) }
    output.append(dateLine)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
  }

  private var streamFraming: BodyFraming { BodyFraming.untilClose.forwarded(to: version) }

  /// The response as `SmallServer` expects it; the server pulls the body parts.
  func streaming(_ parts: AdminParts?) -> SmallResponse {
    guard hasBody, let parts else { return SmallResponse(keepsAlive: keepsAlive) }
    let writer = BodyWriter(streamFraming)
    return SmallResponse(keepsAlive: keepsAlive, isStream: content.isEvents) { output in
      guard let part = parts() else {
        writer.end(output)
        return false
      }
      writer.append(part, to: output)
      return true
    }
  }
}

extension AdminContent {
  fileprivate var isStreamed: Bool {
    switch self {
    case .plain: false
    case .streamed, .events: true
    }
  }

  fileprivate var isEvents: Bool { if case .events = self { true } else { false } }
}
