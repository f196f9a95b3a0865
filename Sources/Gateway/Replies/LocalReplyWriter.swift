import Bytes
import HTTP1
import Policies
import Telemetry

/// Writes local replies, and caches the last one.
///
/// Rejections come in floods of one kind, and within a second such replies differ only in their request ids. Writing one
/// takes 1,040 instructions, copying it half of that.
struct LocalReplyWriter {
  private var last = LocalReply(.draining)
  /// Empty while nothing is cached.
  private var dateLine: [UInt8] = []
  private var keepsAlive = false
  private var version = Version.http11
  private var hasBody = false
  /// The reply up to the id in its head, from there to the id in its body, and the rest.
  private let beginning = ByteBuffer(capacity: 512)
  private let middle = ByteBuffer(capacity: 512)
  private let end = ByteBuffer(capacity: 64)

  /// Appends a reply to `output`.
  ///
  /// - Parameters:
  ///   - dateLine: the `Date` line.
  ///   - keepsAlive: whether the connection stays open.
  ///   - hasBody: false if the request is HEAD.
  mutating func write(
    _ reply: LocalReply, id: RequestID, dateLine: [UInt8], keepsAlive: Bool, version: Version, hasBody: Bool,
    to output: ByteBuffer
  ) {
    if !isCached(reply, dateLine, keepsAlive, version, hasBody) {
      cache(reply, dateLine, keepsAlive, version, hasBody)
    }
    beginning.withBytes { output.append($0) }
    output.append(id)
    middle.withBytes { output.append($0) }
    guard hasBody else { return }
    output.append(id)
    end.withBytes { output.append($0) }
  }

  private func isCached(
    _ reply: LocalReply, _ dateLine: [UInt8], _ keepsAlive: Bool, _ version: Version, _ hasBody: Bool
  ) -> Bool {
    keepsAlive == self.keepsAlive && hasBody == self.hasBody && version == self.version && last == reply
      && dateLine == self.dateLine
  }

  private mutating func cache(
    _ reply: LocalReply, _ dateLine: [UInt8], _ keepsAlive: Bool, _ version: Version, _ hasBody: Bool
  ) {
    last = reply
    self.dateLine = dateLine
    self.keepsAlive = keepsAlive
    self.version = version
    self.hasBody = hasBody
    beginning.removeAll()
    middle.removeAll()
    end.removeAll()
    reply.writeHead(to: beginning, dateLine: dateLine, keepsAlive: keepsAlive, version: version)
    beginning.append(fieldName: "X-Request-Id")
    middle.appendFieldEnd()
    middle.appendHeadEnd()
    if hasBody { reply.writeBody(to: middle, afterID: end) }
  }
}
