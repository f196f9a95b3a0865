import Digests

extension JSONCursor {
  /// Skips a string (RFC 8259 §7) with both quotes; finds the same faults as `string`, without a copy.
  mutating func skipString() throws(JSONFault) {
    if let end = bytes.endOfPlainASCIIString(at: offset) {
      offset = end
    } else {
      hasRareStrings = true
      _ = try string()
    }
  }

  /// Reads a string (RFC 8259 §7) with both quotes.
  mutating func string() throws(JSONFault) -> String {
    advance()
    let start = offset
    while let byte = peek, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { advance() }
    if peek == UInt8(ascii: "\"") {
      defer { advance() }
      return try text(bytes[start..<offset], from: start)
    }
    return try escapedString(from: start)
  }

  private mutating func escapedString(from start: Int) throws(JSONFault) -> String {
    var text = Array(bytes[start..<offset])
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        defer { advance() }
        return try self.text(text[...], from: start)
      case UInt8(ascii: "\\"): try text.append(contentsOf: escape())
      case 0..<0x20: throw fault("a control character in a string must be escaped")
      default:
        text.append(byte)
        advance()
      }
    }
    throw unexpected("the closing quote of a string")
  }

  private mutating func text(_ utf8: ArraySlice<UInt8>, from start: Int) throws(JSONFault) -> String {
    guard let text = String(validating: utf8, as: UTF8.self) else {
      offset = start
      throw fault("a string is not valid UTF-8")
    }
    return text
  }

  /// The UTF-8 bytes of one escape.
  private mutating func escape() throws(JSONFault) -> [UInt8] {
    let start = offset
    advance()
    guard let letter = peek else { throw unexpected("the rest of an escape") }
    advance()
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [letter]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0c]
    case UInt8(ascii: "n"): return [0x0a]
    case UInt8(ascii: "r"): return [0x0d]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"): return Array(String(try scalar(from: start)).utf8)
    default:
      offset = start
      throw fault("unknown escape sequence")
    }
  }

  /// RFC 8259 §7: a character outside the Basic Multilingual Plane is a pair of surrogates; a lone surrogate is
  /// invalid.
  private mutating func scalar(from start: Int) throws(JSONFault) -> Character {
    let first = try codeUnit()
    if let scalar = UnicodeScalar(first) { return Character(scalar) }
    if (0xd800..<0xdc00).contains(first), skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) {
      let second = try codeUnit()
      let code = 0x10000 + ((UInt32(first) & 0x3ff) << 10 | UInt32(second) & 0x3ff)
      if (0xdc00..<0xe000).contains(second), let scalar = UnicodeScalar(code) { return Character(scalar) }
    }
    offset = start
    throw fault("unpaired surrogate")
  }

  private mutating func codeUnit() throws(JSONFault) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = hexValue(byte) else { throw unexpected("four hex digits after \\u") }
      unit = unit << 4 | UInt16(digit)
      advance()
    }
    return unit
  }
}
