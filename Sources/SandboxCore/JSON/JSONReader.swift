/// Reads the first JSON value of a body and ignores the rest, as Go's `json.Decoder.Decode` does.
///
/// The error messages are those of Go's scanner, which Core returns to the caller.
package struct JSONReader {
  /// Core's limit is 10,000; this one keeps the recursion within any thread's stack.
  package static let depthMax = 512

  private let bytes: [UInt8]
  private var position = 0
  private var depth = 0

  package static func read(_ bytes: [UInt8]) throws(JSONFault) -> JSONValue {
    var reader = JSONReader(bytes)
    return try reader.document()
  }

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  private mutating func document() throws(JSONFault) -> JSONValue {
    skipWhitespace()
    guard position < bytes.count else { throw .empty }
    return try value()
  }

  private mutating func value() throws(JSONFault) -> JSONValue {
    let first = try next()
    switch first {
    case UInt8(ascii: "{"): return try nested { reader throws(JSONFault) in try reader.object() }
    case UInt8(ascii: "["): return try nested { reader throws(JSONFault) in try reader.array() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number(first))
    default: throw .invalid(first, "looking for beginning of value")
    }
  }

  private mutating func nested(
    _ read: (inout JSONReader) throws(JSONFault) -> JSONValue
  ) throws(JSONFault) -> JSONValue {
    guard depth < Self.depthMax else { throw .tooDeep }
    depth += 1
    defer { depth -= 1 }
    return try read(&self)
  }

  private mutating func object() throws(JSONFault) -> JSONValue {
    var members: [JSONMember] = []
    skipWhitespace()
    if peek == UInt8(ascii: "}") {
      position += 1
      return .object([])
    }
    while true {
      skipWhitespace()
      let quote = try next()
      guard quote == UInt8(ascii: "\"") else { throw .invalid(quote, "looking for beginning of object key string") }
      let key = try string()
      skipWhitespace()
      let colon = try next()
      guard colon == UInt8(ascii: ":") else { throw .invalid(colon, "after object key") }
      skipWhitespace()
      members.append(JSONMember(key, try value()))
      skipWhitespace()
      let end = try next()
      if end == UInt8(ascii: "}") { return .object(members) }
      guard end == UInt8(ascii: ",") else { throw .invalid(end, "after object key:value pair") }
    }
  }

  private mutating func array() throws(JSONFault) -> JSONValue {
    var elements: [JSONValue] = []
    skipWhitespace()
    if peek == UInt8(ascii: "]") {
      position += 1
      return .array([])
    }
    while true {
      skipWhitespace()
      elements.append(try value())
      skipWhitespace()
      let end = try next()
      if end == UInt8(ascii: "]") { return .array(elements) }
      guard end == UInt8(ascii: ",") else { throw .invalid(end, "after array element") }
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
    for expected in "\(word)".utf8.dropFirst() {
      let byte = try next()
      guard byte == expected else {
        throw .invalid(byte, "in literal \(word) (expecting '\(Character(Unicode.Scalar(expected)))')")
      }
    }
    return value
  }

  /// RFC 8259 §6. The first byte is already consumed.
  private mutating func number(_ first: UInt8) throws(JSONFault) -> String {
    let start = position - 1
    var digit = first
    if digit == UInt8(ascii: "-") {
      digit = try next()
      guard digit.isDigit else { throw .invalid(digit, "in numeric literal") }
    }
    if digit != UInt8(ascii: "0") { skipDigits() }
    if peek == UInt8(ascii: ".") {
      position += 1
      let byte = try next()
      guard byte.isDigit else { throw .invalid(byte, "after decimal point in numeric literal") }
      skipDigits()
    }
    if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
      position += 1
      var byte = try next()
      if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { byte = try next() }
      guard byte.isDigit else { throw .invalid(byte, "in exponent of numeric literal") }
      skipDigits()
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  /// RFC 8259 §7. The opening quote is already consumed. Invalid UTF-8 becomes U+FFFD, as in Go.
  private mutating func string() throws(JSONFault) -> String {
    var text = ""
    var start = position
    while true {
      let byte = try next()
      switch byte {
      case UInt8(ascii: "\""):
        return text + String(decoding: bytes[start..<position - 1], as: UTF8.self)
      case UInt8(ascii: "\\"):
        text += String(decoding: bytes[start..<position - 1], as: UTF8.self)
        text.unicodeScalars.append(try escape())
        start = position
      case 0..<0x20: throw .invalid(byte, "in string literal")
      default: continue
      }
    }
  }

  private mutating func escape() throws(JSONFault) -> Unicode.Scalar {
    let byte = try next()
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{08}"
    case UInt8(ascii: "f"): return "\u{0C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try escapedScalar()
    default: throw .invalid(byte, "in string escape code")
    }
  }

  /// A `\u` escape or a surrogate pair of them. A lone surrogate becomes U+FFFD, as in Go.
  private mutating func escapedScalar() throws(JSONFault) -> Unicode.Scalar {
    let unit = try hexUnit()
    if let scalar = Unicode.Scalar(unit) { return scalar }
    guard unit < 0xDC00, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
      bytes[position + 1] == UInt8(ascii: "u")
    else { return "\u{FFFD}" }
    let afterFirst = position
    position += 2
    let low = try hexUnit()
    guard (0xDC00...0xDFFF).contains(low) else {
      position = afterFirst
      return "\u{FFFD}"
    }
    return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)) ?? "\u{FFFD}"
  }

  private mutating func hexUnit() throws(JSONFault) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      let byte = try next()
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw .invalid(byte, "in \\u hexadecimal character escape")
      }
      unit = unit << 4 | UInt32(digit)
    }
    return unit
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func next() throws(JSONFault) -> UInt8 {
    guard position < bytes.count else { throw .truncated }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func skipWhitespace() {
    while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
  }

  private mutating func skipDigits() {
    while let byte = peek, byte.isDigit { position += 1 }
  }
}

extension UInt8 {
  var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}

/// Why a text is not JSON, in the words of Go's decoder.
package enum JSONFault: Error, Equatable {
  case empty
  case truncated
  case tooDeep
  case invalid(UInt8, String)

  package var message: String {
    switch self {
    case .empty: "EOF"
    case .truncated: "unexpected EOF"
    case .tooDeep: "exceeded max depth"
    case .invalid(let byte, let place): "invalid character \(Self.quoted(byte)) \(place)"
    }
  }

  /// The byte as Go's scanner quotes it: as a Latin-1 character in single quotes.
  private static func quoted(_ byte: UInt8) -> String {
    switch byte {
    case UInt8(ascii: "'"): #"'\''"#
    case UInt8(ascii: "\\"): #"'\\'"#
    case 0x07: #"'\a'"#
    case 0x08: #"'\b'"#
    case 0x09: #"'\t'"#
    case 0x0A: #"'\n'"#
    case 0x0B: #"'\v'"#
    case 0x0C: #"'\f'"#
    case 0x0D: #"'\r'"#
    case 0..<0x20, 0x7F: #"'\x"# + hex(byte) + "'"
    case 0x80..<0xA1, 0xAD: #"'\u00"# + hex(byte) + "'"
    default: "'\(Character(Unicode.Scalar(byte)))'"
    }
  }

  private static func hex(_ byte: UInt8) -> String {
    (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
  }
}
