public import Bytes

/// Forwards lines of a head. Adjacent lines that are already in the form the gateway writes are copied in one piece.
///
/// A browser's request has a dozen such lines; each costs a few instructions instead of 90. Inlined for the same reason as
/// `ByteBuffer`.
@usableFromInline
package struct LineForwarder {
  /// The lines not yet written.
  @usableFromInline var run: Range<Int>

  @inlinable @inline(__always)
  package init() { run = 0..<0 }

  /// Starts with the status line, as sent except for the version, which is the gateway's (RFC 9110 §2.5).
  package init(statusLineOf head: borrowing ResponseHead, _ bytes: Span<UInt8>, to output: ByteBuffer) {
    if bytes[7] == UInt8(ascii: "1"), head.reason.lowerBound == "HTTP/1.1 200 ".utf8.count {
      run = 0..<head.reason.upperBound + 2
      return
    }
    run = 0..<0
    output.append("HTTP/1.1 ")
    output.append(decimal: head.status)
    output.append(" ")
    output.append(bytes, head.reason)
    output.append("\r\n")
  }

  /// Forwards a line with its name and value as sent.
  @inlinable @inline(__always)
  package mutating func forward(_ field: FieldLine, of bytes: Span<UInt8>, to output: ByteBuffer) {
    if field.name.lowerBound != run.upperBound || !field.isInWrittenForm(bytes) {
      flush(bytes, to: output)
      guard field.isInWrittenForm(bytes) else { return output.append(field, of: bytes) }
      run = field.name.lowerBound..<field.name.lowerBound
    }
    run = run.lowerBound..<field.value.upperBound + 2
  }

  /// Forwards a line with another value, which `value` appends to the output without control bytes except HTAB.
  package mutating func replace(
    _ field: FieldLine, of bytes: Span<UInt8>, to output: ByteBuffer, value: (ByteBuffer) -> Void
  ) {
    flush(bytes, to: output)
    output.append(bytes, field.name)
    output.append(": ")
    value(output)
    output.append("\r\n")
  }

  /// Writes the pending lines. Call it before writing anything else to the output, and at the end.
  @inlinable @inline(__always)
  package mutating func flush(_ bytes: Span<UInt8>, to output: ByteBuffer) {
    guard !run.isEmpty else { return }
    output.append(lines: run, of: bytes)
    run = 0..<0
  }
}

extension ByteBuffer {
  @usableFromInline @inline(never)
  func append(lines run: Range<Int>, of bytes: Span<UInt8>) { append(bytes, run) }

  @usableFromInline @inline(never)
  func append(_ field: FieldLine, of bytes: Span<UInt8>) {
    append(bytes, field.name)
    append(": ")
    append(bytes, field.value)
    append("\r\n")
  }
}

extension FieldLine {
  /// Whether the line has one space before its value, and CRLF directly after it.
  @inlinable @inline(__always)
  func isInWrittenForm(_ bytes: Span<UInt8>) -> Bool {
    value.lowerBound == name.upperBound + 2 && bytes[name.upperBound + 1] == UInt8(ascii: " ")
      && bytes[value.upperBound] == UInt8(ascii: "\r")
  }
}
