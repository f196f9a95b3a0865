public import Bytes

/// The lines of a head that pass through: neighbours that came as they are written pass in one piece.
///
/// A browser's request has a dozen of them; each costs a few instructions instead of 90. Inlined for the reason
/// that `ByteBuffer` gives.
@usableFromInline
package struct PassedLines {
  /// Lines that are still to be written.
  @usableFromInline var run: Range<Int>

  @inlinable @inline(__always)
  package init() { run = 0..<0 }

  /// Begins with the status line, as it was sent but for the version, which is ours (RFC 9110 §2.5).
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

  /// Passes a line, its name and value as sent.
  @inlinable @inline(__always)
  package mutating func pass(_ field: FieldLine, of bytes: Span<UInt8>, to output: ByteBuffer) {
    if field.name.lowerBound != run.upperBound || !field.isAsWritten(bytes) {
      end(bytes, to: output)
      guard field.isAsWritten(bytes) else { return output.append(field, of: bytes) }
      run = field.name.lowerBound..<field.name.lowerBound
    }
    run = run.lowerBound..<field.value.upperBound + 2
  }

  /// Passes a line with another value, which `value` appends to the output: no control byte but HTAB.
  package mutating func replace(
    _ field: FieldLine, of bytes: Span<UInt8>, to output: ByteBuffer, value: (ByteBuffer) -> Void
  ) {
    end(bytes, to: output)
    output.append(bytes, field.name)
    output.append(": ")
    value(output)
    output.append("\r\n")
  }

  /// Writes the lines that are left; before anything else is written, and at the end.
  @inlinable @inline(__always)
  package mutating func end(_ bytes: Span<UInt8>, to output: ByteBuffer) {
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
  /// Whether the line has one space in front of the value, and nothing behind it but its CRLF.
  @inlinable @inline(__always)
  func isAsWritten(_ bytes: Span<UInt8>) -> Bool {
    value.lowerBound == name.upperBound + 2 && bytes[name.upperBound + 1] == UInt8(ascii: " ")
      && bytes[value.upperBound] == UInt8(ascii: "\r")
  }
}
