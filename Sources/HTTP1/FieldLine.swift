/// A field line, as offsets into the bytes of its head.
public struct FieldLine: Equatable, Sendable {
  // 32-bit offsets cover any head that `HeadLimits` allows, and halve the bytes to copy.
  @usableFromInline let nameStart: UInt32
  @usableFromInline let nameEnd: UInt32
  @usableFromInline let valueStart: UInt32
  @usableFromInline let valueEnd: UInt32
  public let kind: FieldName
  /// Whether a `Connection` field of the same head makes it a hop-by-hop field (RFC 9110 §7.6.1); never a framing field.
  public internal(set) var isNamedByConnection = false

  /// The name as sent: a token.
  @inlinable public var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
  /// The value without leading and trailing OWS; it may be empty, and has no control byte except HTAB.
  @inlinable public var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }

  /// A placeholder for a line not yet read.
  init() {
    (nameStart, nameEnd, valueStart, valueEnd) = (0, 0, 0, 0)
    kind = .other
  }

  /// Parses a field line (RFC 9112 §5), which must be non-empty and contain no control byte except HTAB.
  ///
  /// - Parameters:
  ///   - name: the packed token at the start of the line.
  ///   - kind: the field that `name` is.
  @inline(__always)
  init(_ bytes: Span<UInt8>, line: Range<Int>, _ name: PackedName, _ kind: FieldName) throws(HeadFault) {
    let isWhole = name.endsAtColon && name.count > 0
    let colon = isWhole ? line.lowerBound &+ name.count : try Self.endOfName(bytes, line)
    let value = bytes.trimmed(colon + 1..<line.upperBound)
    nameStart = UInt32(truncatingIfNeeded: line.lowerBound)
    nameEnd = UInt32(truncatingIfNeeded: colon)
    valueStart = UInt32(truncatingIfNeeded: value.lowerBound)
    valueEnd = UInt32(truncatingIfNeeded: value.upperBound)
    self.kind = kind
  }

  /// The end of a line's name, where its colon is.
  private static func endOfName(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) -> Int {
    let end = bytes.endOfToken(in: line)
    // RFC 9112 §5.2: obs-fold is rejected, and so is whitespace before the first field (§2.2).
    guard !bytes[line.lowerBound].isOWS else { throw .malformed(.obsFold) }
    guard end < line.upperBound else { throw .malformed(.colonMissing) }
    // RFC 9112 §5.1: no whitespace between name and colon.
    guard bytes[end] == UInt8(ascii: ":"), end > line.lowerBound else { throw .malformed(.fieldNameNotToken) }
    return end
  }
}
