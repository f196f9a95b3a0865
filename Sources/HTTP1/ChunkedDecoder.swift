/// Why a chunked body is rejected. Its end is then unknown, so the connection must close.
@usableFromInline
package enum ChunkFault: Error, Equatable, Sendable {
  /// A size does not begin with a hexadecimal digit, or is not followed by `;` or CRLF.
  case sizeMalformed
  /// More than `ChunkedDecoder.sizeDigitsMax` digits.
  case sizeTooLarge
  /// A chunk extension that is not `; name`, `; name=token` or `; name="quoted"` (RFC 9112 §7.1.1).
  case extensionMalformed
  /// More than `ChunkedDecoder.extensionBytesMax` bytes of extensions in one body.
  case extensionsTooLong
  /// A chunk's data is not followed by CRLF.
  case dataTooLong
  case trailerMalformed
  /// More than `ChunkedDecoder.trailerBytesMax` bytes of trailers.
  case trailersTooLong
  /// CR without LF.
  case bareCR

  /// A text for messages and log lines; it contains no received bytes.
  package var text: StaticString {
    switch self {
    case .sizeMalformed: "a chunk size is malformed"
    case .sizeTooLarge: "a chunk size has too many digits"
    case .extensionMalformed: "a chunk extension is malformed"
    case .extensionsTooLong: "the chunk extensions are too long"
    case .dataTooLong: "a chunk is longer than its size"
    case .trailerMalformed: "a trailer field is malformed"
    case .trailersTooLong: "the trailer section is too long"
    case .bareCR: "a CR is not followed by LF"
    }
  }
}

/// Decodes a chunked body incrementally (RFC 9112 §7.1); extensions and trailers are checked and dropped.
@usableFromInline
struct ChunkedDecoder: Sendable {
  /// Hexadecimal digits of a size, including leading zeros; 15 cannot overflow.
  static let sizeDigitsMax = 15
  /// Bytes of all extensions of one body (RFC 9112 §7.1.1 asks for a limit).
  static let extensionBytesMax = 4096
  /// Bytes of all trailer lines of one body.
  static let trailerBytesMax = 8192

  enum Event: Equatable, Sendable {
    /// The next run of body bytes; never empty.
    case data(Range<Int>)
    /// All given bytes have been read.
    case needsMore
    /// The end of the body, as the offset of the next byte; repeated calls return the given offset.
    case end(Int)
  }

  private enum Phase {
    case size, sizePadding, sizeLF
    case extensionStart, extensionName, extensionNamePadding, valueStart, value, valuePadding
    case quotedValue, quotedPair, quotedValueEnd
    case data, dataCR, dataLF
    case trailerStart, trailerName, trailerValue, trailerLF, lastLF
    case ended
  }

  private var phase = Phase.size
  /// The chunk size being read, then the bytes of data left.
  private var remaining = 0
  private var sizeDigits = 0
  private var extensionBytes = 0
  private var trailerBytes = 0

  init() {}

  /// The data bytes left in the current chunk; lets a limit on the body apply before they arrive.
  var chunkBytesLeft: Int { phase == .data ? remaining : 0 }

  /// Decodes from `offset` on and returns the next event, advancing `offset` past it.
  mutating func next(_ bytes: Span<UInt8>, _ offset: inout Int) throws(ChunkFault) -> Event {
    while phase != .ended {
      guard offset < bytes.count else { return .needsMore }
      if phase == .data {
        let run = offset..<offset + min(remaining, bytes.count - offset)
        remaining -= run.count
        offset = run.upperBound
        if remaining == 0 { phase = .dataCR }
        return .data(run)
      }
      phase = try read(bytes[offset])
      offset += 1
    }
    return .end(offset)
  }

  /// Reads one byte of the framing and returns the next phase.
  private mutating func read(_ byte: UInt8) throws(ChunkFault) -> Phase {
    switch phase {
    case .size: return try readSize(byte)
    case .sizePadding, .extensionStart, .extensionName, .extensionNamePadding, .valueStart, .value, .valuePadding,
      .quotedValue, .quotedPair, .quotedValueEnd:
      return try readExtension(byte)
    case .sizeLF:
      guard byte == .lf else { throw .bareCR }
      sizeDigits = 0
      return remaining == 0 ? .trailerStart : .data
    case .dataCR:
      guard byte == .cr else { throw .dataTooLong }
      return .dataLF
    case .dataLF:
      guard byte == .lf else { throw .bareCR }
      return .size
    case .trailerStart, .trailerName, .trailerValue: return try readTrailer(byte)
    case .trailerLF:
      guard byte == .lf else { throw .bareCR }
      return .trailerStart
    case .lastLF:
      guard byte == .lf else { throw .bareCR }
      return .ended
    case .data, .ended: preconditionFailure("no framing byte here")
    }
  }

  private mutating func readSize(_ byte: UInt8) throws(ChunkFault) -> Phase {
    if let digit = byte.hexValue {
      guard sizeDigits < Self.sizeDigitsMax else { throw .sizeTooLarge }
      sizeDigits += 1
      remaining = remaining << 4 | Int(digit)
      return .size
    }
    guard sizeDigits > 0 else { throw .sizeMalformed }
    switch byte {
    case .cr: return .sizeLF
    case UInt8(ascii: ";"): return .extensionStart
    // RFC 9112 §7.1.1 has BWS before the semicolon, which RFC 9110 §5.6.3 requires recipients to accept.
    case .space, .tab: return .sizePadding
    default: throw .sizeMalformed
    }
  }

  private mutating func readExtension(_ byte: UInt8) throws(ChunkFault) -> Phase {
    extensionBytes += 1
    guard extensionBytes <= Self.extensionBytesMax else { throw .extensionsTooLong }
    guard let next = extensionPhase(after: byte) else {
      throw phase == .sizePadding ? .sizeMalformed : .extensionMalformed
    }
    return next
  }

  /// *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) CR (RFC 9112 §7.1.1); nil if `byte` is not allowed.
  private func extensionPhase(after byte: UInt8) -> Phase? {
    switch phase {
    case .sizePadding, .valuePadding: byte.isOWS ? phase : byte == .semicolon ? .extensionStart : nil
    case .extensionStart: byte.isOWS ? .extensionStart : ByteSet.token.contains(byte) ? .extensionName : nil
    case .extensionName where ByteSet.token.contains(byte): .extensionName
    case .extensionName where byte == .cr: .sizeLF
    case .extensionName, .extensionNamePadding:
      byte.isOWS ? .extensionNamePadding : byte == .equals ? .valueStart : byte == .semicolon ? .extensionStart : nil
    case .valueStart:
      byte.isOWS ? .valueStart : byte == .quote ? .quotedValue : ByteSet.token.contains(byte) ? .value : nil
    case .value where ByteSet.token.contains(byte): .value
    case .value, .quotedValueEnd:
      byte == .cr ? .sizeLF : byte.isOWS ? .valuePadding : byte == .semicolon ? .extensionStart : nil
    case .quotedValue where byte == .quote: .quotedValueEnd
    case .quotedValue where byte == .backslash: .quotedPair
    case .quotedValue, .quotedPair: byte.isFieldContent ? .quotedValue : nil
    case .size, .sizeLF, .data, .dataCR, .dataLF, .trailerStart, .trailerName, .trailerValue, .trailerLF, .lastLF,
      .ended:
      preconditionFailure("no extension byte here")
    }
  }

  private mutating func readTrailer(_ byte: UInt8) throws(ChunkFault) -> Phase {
    if phase == .trailerStart, byte == .cr { return .lastLF }
    trailerBytes += 1
    guard trailerBytes <= Self.trailerBytesMax else { throw .trailersTooLong }
    if phase == .trailerValue {
      if byte == .cr { return .trailerLF }
      guard byte.isFieldContent else { throw .trailerMalformed }
      return .trailerValue
    }
    if phase == .trailerName, byte == UInt8(ascii: ":") { return .trailerValue }
    guard ByteSet.token.contains(byte) else { throw .trailerMalformed }
    return .trailerName
  }
}
