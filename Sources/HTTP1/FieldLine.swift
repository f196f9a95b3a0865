/// A field line as offsets into the bytes of its head.
public struct FieldLine: Equatable, Sendable {
  // The bounds of a head (`HeadLimits`) are far below what 32 bits hold, and a line is half as long to copy with them.
  @usableFromInline let nameStart: UInt32
  @usableFromInline let nameEnd: UInt32
  @usableFromInline let valueStart: UInt32
  @usableFromInline let valueEnd: UInt32
  public let kind: FieldName
  /// Whether a `Connection` field of the same head makes it a field of one hop (RFC 9110 §7.6.1): never a framing field.
  public internal(set) var isNamedByConnection = false

  /// A token, as sent.
  @inlinable public var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
  /// Without OWS at its ends; may be empty; has no control byte but HTAB.
  @inlinable public var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }

  /// No line, where none was read yet.
  init() {
    (nameStart, nameEnd, valueStart, valueEnd) = (0, 0, 0, 0)
    kind = .other
  }

  /// Reads a line that is not empty and holds no control byte but HTAB (RFC 9112 §5).
  ///
  /// - Parameters:
  ///   - name: what its first bytes say of its name.
  ///   - kind: what `name` is.
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

  /// Where the name of a line ends, at a colon.
  private static func endOfName(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) -> Int {
    let end = bytes.endOfToken(in: line)
    // RFC 9112 §5.2: obs-fold is refused, and so is a blank before the first field (§2.2).
    guard !bytes[line.lowerBound].isBlank else { throw .malformed(.obsFold) }
    guard end < line.upperBound else { throw .malformed(.colonMissing) }
    // RFC 9112 §5.1: no blank between name and colon.
    guard bytes[end] == UInt8(ascii: ":"), end > line.lowerBound else { throw .malformed(.fieldNameNoToken) }
    return end
  }
}
