/// Reads JSON as Go's encoding/json does, into a tree; shares no code with the gateway.
indirect enum ReferenceJSON {
  case object([(name: String, value: ReferenceJSON)])
  case array([ReferenceJSON])
  case string(String)
  case number(String)
  case word(String)

  private struct Fault: Error {}

  private struct Reader {
    let bytes: [UInt8]
    var offset = 0

    mutating func skipSpace() {
      while offset < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[offset]) { offset += 1 }
    }

    func peek() throws -> UInt8 {
      guard offset < bytes.count else { throw Fault() }
      return bytes[offset]
    }

    mutating func next() throws -> UInt8 {
      defer { offset += 1 }
      return try peek()
    }

    mutating func expect(_ text: String) throws {
      for byte in text.utf8 { guard try next() == byte else { throw Fault() } }
    }

    mutating func value(_ depth: Int) throws -> ReferenceJSON {
      skipSpace()
      switch try peek() {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        guard depth < 10_000 else { throw Fault() }
        return try container(depth + 1)
      case UInt8(ascii: "\""): return .string(try string())
      case UInt8(ascii: "t"): return try word("true")
      case UInt8(ascii: "f"): return try word("false")
      case UInt8(ascii: "n"): return try word("null")
      default: return .number(try number())
      }
    }

    mutating func word(_ text: String) throws -> ReferenceJSON {
      try expect(text)
      return .word(text)
    }

    mutating func container(_ depth: Int) throws -> ReferenceJSON {
      let isObject = try next() == UInt8(ascii: "{")
      let end = UInt8(ascii: isObject ? "}" : "]")
      var members: [(name: String, value: ReferenceJSON)] = []
      skipSpace()
      if try peek() == end {
        offset += 1
        return isObject ? .object([]) : .array([])
      }
      while true {
        skipSpace()
        var name = ""
        if isObject {
          name = try string()
          skipSpace()
          try expect(":")
        }
        members.append((name, try value(depth)))
        skipSpace()
        let byte = try next()
        if byte == end { return isObject ? .object(members) : .array(members.map(\.value)) }
        guard byte == UInt8(ascii: ",") else { throw Fault() }
      }
    }

    mutating func number() throws -> String {
      let start = offset
      func isDigit(_ offset: Int) -> Bool { offset < bytes.count && (48...57).contains(bytes[offset]) }
      func has(_ text: String) -> Bool { offset < bytes.count && text.utf8.contains(bytes[offset]) }
      func digits(_ offset: inout Int) throws {
        guard isDigit(offset) else { throw Fault() }
        while isDigit(offset) { offset += 1 }
      }
      if has("-") { offset += 1 }
      if has("0") { offset += 1 } else { try digits(&offset) }
      if has(".") {
        offset += 1
        try digits(&offset)
      }
      if has("eE") {
        offset += 1
        if has("+-") { offset += 1 }
        try digits(&offset)
      }
      return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    mutating func string() throws -> String {
      try expect("\"")
      var text: [UInt8] = []
      while true {
        let byte = try next()
        switch byte {
        case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
        case UInt8(ascii: "\\"): text += try escape()
        case 0..<0x20: throw Fault()
        default: text.append(byte)
        }
      }
    }

    mutating func escape() throws -> [UInt8] {
      let byte = try next()
      let plain: [UInt8: UInt8] = [
        UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9,
        UInt8(ascii: "\""): byte, UInt8(ascii: "\\"): byte, UInt8(ascii: "/"): byte,
      ]
      if let plain = plain[byte] { return [plain] }
      guard byte == UInt8(ascii: "u") else { throw Fault() }
      let first = try unit()
      let rest = self
      if (0xD800..<0xDC00).contains(first), (try? expect("\\u")) != nil, let second = try? unit(),
        (0xDC00..<0xE000).contains(second)
      {
        return utf8(0x10000 + (first - 0xD800) * 0x400 + (second - 0xDC00))
      }
      self = rest
      return utf8(first)
    }

    func utf8(_ scalar: UInt32) -> [UInt8] { Array(String(Character(Unicode.Scalar(scalar) ?? "\u{FFFD}")).utf8) }

    mutating func unit() throws -> UInt32 {
      var digits = ""
      for _ in 0..<4 { digits.unicodeScalars.append(Unicode.Scalar(try next())) }
      guard digits.utf8.allSatisfy({ $0 < 0x80 }), !digits.hasPrefix("+"), !digits.hasPrefix("-"),
        let unit = UInt32(digits, radix: 16)
      else { throw Fault() }
      return unit
    }
  }

  /// The members of the first value; nil: it is not a complete object.
  static func members(_ bytes: [UInt8]) -> [(name: String, value: ReferenceJSON)]? {
    var reader = Reader(bytes: bytes)
    guard case .object(let members) = try? reader.value(0) else { return nil }
    return members
  }

  /// As Go folds it, as far as ASCII names matter.
  static func folded(_ name: String) -> String {
    String(
      name.unicodeScalars.map { $0 == "\u{17F}" ? "s" : $0 == "\u{212A}" ? "k" : Character($0) }.map {
        $0.isASCII ? Character($0.lowercased()) : $0
      })
  }
}
