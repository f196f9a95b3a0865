import Bytes
import HTTP1

/// The lines of a head that are passed on: neighbours that came as they are written go in one piece.
///
/// A browser's request has a dozen of them; each costs a few instructions instead of 90.
struct PassedLines {
  /// Lines that are still to be written.
  private var run: Range<Int>

  /// Begins with `run`, whole lines.
  init(_ run: Range<Int> = 0..<0) { self.run = run }

  mutating func pass(_ field: FieldLine, of bytes: Span<UInt8>, to output: ByteBuffer) {
    if field.name.lowerBound != run.upperBound || !field.isAsWritten(bytes) {
      end(bytes, to: output)
      guard field.isAsWritten(bytes) else { return output.append(field: field, of: bytes) }
      run = field.name.lowerBound..<field.name.lowerBound
    }
    run = run.lowerBound..<field.value.upperBound + 2
  }

  /// Writes what is left; before anything else is, and at the end.
  mutating func end(_ bytes: Span<UInt8>, to output: ByteBuffer) {
    guard !run.isEmpty else { return }
    output.append(bytes, run)
    run = 0..<0
  }
}

extension FieldLine {
  /// Whether the line has one space in front of the value, and nothing behind it but its CRLF.
  fileprivate func isAsWritten(_ bytes: Span<UInt8>) -> Bool {
    value.lowerBound == name.upperBound + 2 && bytes[name.upperBound + 1] == UInt8(ascii: " ")
      && bytes[value.upperBound] == UInt8(ascii: "\r")
  }
}

extension ByteBuffer {
  /// One field line, name and value as sent.
  fileprivate func append(field: FieldLine, of bytes: Span<UInt8>) {
    append(bytes, field.name)
    append(": ")
    append(bytes, field.value)
    append("\r\n")
  }
}
