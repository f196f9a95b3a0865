import HTTP1

/// A position in a JSON text, with functions that skip the tokens that can follow.
struct JSONCursor {
  let bytes: [UInt8]
  var offset: Int
  /// Whether a skipped string had escapes or text that is not ASCII.
  var hasRareStrings = false

  init(_ bytes: [UInt8], at offset: Int = 0) {
    self.bytes = bytes
    self.offset = offset
  }

  var isAtEnd: Bool { offset == bytes.count }

  /// The byte here; nil at the end.
  var peek: UInt8? { isAtEnd ? nil : bytes[offset] }

  var startsWithByteOrderMark: Bool { bytes.starts(with: [0xef, 0xbb, 0xbf]) }

  mutating func advance() {
    offset += 1
  }

  mutating func skip(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    offset += 1
    return true
  }

  /// RFC 8259 §2: space, tab, line feed and carriage return.
  mutating func skipWhitespace() {
    offset = bytes.endOfJSONWhitespace(from: offset)
  }

  mutating func skip(literal: StaticString) -> Bool {
    let text = Array(literal.description.utf8)
    guard bytes[offset...].starts(with: text) else { return false }
    offset += text.count
    return true
  }

  /// RFC 8259 §6: no plus sign, no leading zero, digits on both sides of the point; no NaN or Infinity.
  @_optimize(speed)
  mutating func skipNumber() throws(JSONFault) {
    _ = skip(UInt8(ascii: "-"))
    if !skip(UInt8(ascii: "0")) { try digits() }
    if let byte = peek, isDigit(byte) { throw fault("a number must not start with 0") }
    if skip(UInt8(ascii: ".")) { try digits() }
    if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
      if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
      try digits()
    }
  }

  @_optimize(speed)
  private mutating func digits() throws(JSONFault) {
    let start = offset
    while let byte = peek, isDigit(byte) { offset += 1 }
    guard offset > start else { throw unexpected("a digit") }
  }

  private func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  func fault(_ message: String) -> JSONFault {
    let lineStart = (bytes[..<offset].lastIndex(of: 0x0a) ?? -1) + 1
    return JSONFault(
      line: JSONLines(bytes).line(of: offset, in: bytes), keyPath: "",
      message: "\(message) (column \(offset - lineStart + 1))")
  }

  func unexpected(_ expected: String) -> JSONFault {
    guard let byte = peek else { return fault("unexpected end of file; expected \(expected)") }
    switch byte {
    case UInt8(ascii: "/"), UInt8(ascii: "#"): return fault("comments are not allowed in JSON; expected \(expected)")
    case UInt8(ascii: "'"): return fault("single quotes are not allowed in JSON; expected \(expected)")
    case 0x21...0x7e: return fault("expected \(expected), found \"\(Character(UnicodeScalar(byte)))\"")
    default: return fault("expected \(expected), found byte 0x\(String(byte, radix: 16))")
    }
  }
}

extension [UInt8] {
  @_optimize(speed)
  fileprivate func endOfJSONWhitespace(from start: Int) -> Int {
    let bytes = span
    var index = start
    while index < bytes.count {
      switch bytes[index] {
      case 0x20:
        index &+= 1
        // Indentation can be most of a file.
        var rest = bytes.extracting(droppingFirst: index)
        while let word = rest.firstWord {
          let other = word ^ 0x2020_2020_2020_2020
          if other != 0 {
            index = bytes.count &- rest.count &+ other.trailingZeroBitCount &>> 3
            break
          }
          rest = rest.extracting(droppingFirst: 8)
          index = bytes.count &- rest.count
        }
      case 0x0a, 0x0d, 0x09: index &+= 1
      default: return index
      }
    }
    return index
  }
}
