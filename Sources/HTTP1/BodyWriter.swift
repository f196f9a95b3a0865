public import Bytes

/// Writes a body unchanged or in chunks (RFC 9112 §7.1).
@usableFromInline
package struct BodyWriter: Sendable {
  /// The most bytes that framing adds to one run and the end of the body.
  package static let framingBytesMax = 32

  /// Whether the body is chunked; otherwise a length or the end of the connection delimits it.
  @usableFromInline package let isChunked: Bool

  @inlinable @inline(__always)
  package init(_ framing: BodyFraming) { isChunked = framing.isChunked }

  /// Appends a run of body bytes. An empty run appends nothing, because an empty chunk ends the body.
  package func append(_ bytes: Span<UInt8>, _ run: Range<Int>, to output: ByteBuffer) {
    guard isChunked else { return output.append(bytes, run) }
    guard !run.isEmpty else { return }
    output.append(hex: UInt64(run.count))
    output.append("\r\n")
    output.append(bytes, run)
    output.append("\r\n")
  }

  package func append(_ bytes: [UInt8], to output: ByteBuffer) { append(bytes.span, bytes.indices, to: output) }

  /// Ends the body: appends the last chunk of a chunked one, without trailers. Call it once.
  @inlinable @inline(__always)
  package func end(_ output: ByteBuffer) {
    if isChunked { output.append("0\r\n\r\n") }
  }
}
