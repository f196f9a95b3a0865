public import Bytes

/// Frames the bytes of a body for its receiver: as they are, or in chunks (RFC 9112 §7.1).
@usableFromInline
package struct BodyWriter: Sendable {
  /// Bytes that framing adds at most to one run and the end behind it.
  package static let framingBytesMax = 32

  /// Whether bytes and end are framed; otherwise a length or the end of the connection ends the body.
  @usableFromInline package let isChunked: Bool

  @inlinable @inline(__always)
  package init(_ framing: BodyFraming) { isChunked = framing.isChunked }

  /// Appends a run of the body; an empty run appends nothing, because an empty chunk ends the body.
  package func append(_ bytes: Span<UInt8>, _ run: Range<Int>, to output: ByteBuffer) {
    guard isChunked else { return output.append(bytes, run) }
    guard !run.isEmpty else { return }
    output.append(hex: UInt64(run.count))
    output.append("\r\n")
    output.append(bytes, run)
    output.append("\r\n")
  }

  package func append(_ bytes: [UInt8], to output: ByteBuffer) { append(bytes.span, bytes.indices, to: output) }

  /// Appends what ends the body: the last chunk, without trailers. Call it once.
  @inlinable @inline(__always)
  package func end(_ output: ByteBuffer) {
    if isChunked { output.append("0\r\n\r\n") }
  }
}
