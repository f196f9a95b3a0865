import Bytes
import HTTP1
import Policies
import Telemetry

/// Writes the gateway's own answers, and keeps the last one ready.
///
/// Refusals come in floods of one kind, and within a second such answers differ in their ids alone. To write one anew is
/// 1,040 instructions, and this is half of it.
struct LocalReplyWriter {
  private var last = LocalReply(.draining)
  /// Of no answer at first: empty.
  private var dateLine: [UInt8] = []
  private var keepsAlive = false
  private var version = Version.http11
  private var hasBody = false
  /// The answer up to the id in its head, from there up to the id in its body, and the rest.
  private let beginning = ByteBuffer(capacity: 512)
  private let middle = ByteBuffer(capacity: 512)
  private let end = ByteBuffer(capacity: 64)

  /// Appends an answer to `output`.
  ///
  /// - Parameters:
  ///   - dateLine: the ready `Date` line.
  ///   - keepsAlive: whether the connection stays open.
  ///   - hasBody: false in answer to HEAD.
  mutating func write(
    _ answer: LocalReply, id: RequestID, dateLine: [UInt8], keepsAlive: Bool, version: Version, hasBody: Bool,
    to output: ByteBuffer
  ) {
    if !isReady(answer, dateLine, keepsAlive, version, hasBody) {
      ready(answer, dateLine, keepsAlive, version, hasBody)
    }
    beginning.withBytes { output.append($0) }
    output.append(id)
    middle.withBytes { output.append($0) }
    guard hasBody else { return }
    output.append(id)
    end.withBytes { output.append($0) }
  }

  private func isReady(
    _ answer: LocalReply, _ dateLine: [UInt8], _ keepsAlive: Bool, _ version: Version, _ hasBody: Bool
  ) -> Bool {
    keepsAlive == self.keepsAlive && hasBody == self.hasBody && version == self.version && last == answer
      && dateLine == self.dateLine
  }

  private mutating func ready(
    _ answer: LocalReply, _ dateLine: [UInt8], _ keepsAlive: Bool, _ version: Version, _ hasBody: Bool
  ) {
    last = answer
    self.dateLine = dateLine
    self.keepsAlive = keepsAlive
    self.version = version
    self.hasBody = hasBody
    beginning.removeAll()
    middle.removeAll()
    end.removeAll()
    answer.writeHead(to: beginning, dateLine: dateLine, keepsAlive: keepsAlive, version: version)
    beginning.append(fieldName: "X-Request-Id")
    middle.appendFieldEnd()
    middle.appendHeadEnd()
    if hasBody { answer.writeBody(to: middle, behindID: end) }
  }
}
