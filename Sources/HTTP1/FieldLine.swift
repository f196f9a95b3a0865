/// A field line as offsets into the bytes of its head.
package struct FieldLine: Equatable, Sendable {
  /// A token, as sent.
  package var name: Range<Int>
  /// Without OWS at its ends; may be empty; has no control byte but HTAB.
  package var value: Range<Int>
  package var kind: FieldName
  /// Whether a `Connection` field of the same head lists this name: such a field is for one hop (RFC 9110 §7.6.1).
  package var isNamedByConnection: Bool

  /// Reads a line that is not empty and holds no control byte but HTAB (RFC 9112 §5).
  @inline(__always)
  init(_ bytes: Span<UInt8>, line: Range<Int>) throws(HeadFault) {
    // RFC 9112 §5.2: obs-fold is refused, and so is a blank before the first field (§2.2).
    guard !bytes[line.lowerBound].isBlank else { throw .malformed(.obsFold) }
    let packed = PackedName(tokenIn: bytes, from: line)
    let colon = line.lowerBound + packed.count
    guard colon < line.upperBound else { throw .malformed(.colonMissing) }
    // RFC 9112 §5.1: no blank between name and colon.
    guard bytes[colon] == UInt8(ascii: ":"), packed.count > 0 else { throw .malformed(.fieldNameNoToken) }
    name = line.lowerBound..<colon
    value = bytes.trimmed(colon + 1..<line.upperBound)
    kind = FieldName(packed)
    isNamedByConnection = false
  }
}
