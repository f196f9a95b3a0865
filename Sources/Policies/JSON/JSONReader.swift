/// Reads one JSON text (RFC 8259) strictly: what readers disagree about is refused, not guessed.
struct JSONReader {
  static let byteCountMax = 64 << 20
  static let depthMax = 32

  /// The value, nil after a fault of syntax, and every fault met up to there.
  typealias Result = (root: JSONNode?, faults: [JSONFault])

  var cursor: JSONCursor
  private var depth = 0
  private var path: [JSONPathStep] = []
  private var repeatedKeys: [JSONFault] = []

  private init(_ bytes: [UInt8]) {
    cursor = JSONCursor(bytes)
  }

  static func read(_ bytes: [UInt8]) -> Result {
    guard bytes.count <= byteCountMax else {
      let message = "is longer than \(byteCountMax >> 20) MiB"
      return (nil, [JSONFault(line: 1, column: 1, keyPath: "", message: message)])
    }
    var reader = JSONReader(bytes)
    do throws(JSONFault) {
      let root = try reader.text()
      return (root, reader.repeatedKeys)
    } catch {
      return (nil, reader.repeatedKeys + [error])
    }
  }

  private mutating func text() throws(JSONFault) -> JSONNode {
    // RFC 8259 §8.1: a text must not begin with a byte order mark.
    guard !cursor.startsWithByteOrderMark else { throw cursor.fault("begins with a byte order mark") }
    cursor.skipWhitespace()
    let root = try value()
    cursor.skipWhitespace()
    guard cursor.isAtEnd else { throw cursor.unexpected("the end of the file") }
    return root
  }

  private mutating func value() throws(JSONFault) -> JSONNode {
    let (line, column, start) = (cursor.line, cursor.column, cursor.offset)
    let value = try bareValue()
    return JSONNode(value: value, line: line, column: column, bytes: start..<cursor.offset)
  }

  private mutating func bareValue() throws(JSONFault) -> JSONNode.Value {
    switch cursor.peek {
    case UInt8(ascii: "{"): return .object(try members())
    case UInt8(ascii: "["): return .array(try elements())
    case UInt8(ascii: "\""): return .string(try cursor.string())
    case .some(UInt8(ascii: "0")...UInt8(ascii: "9")), UInt8(ascii: "-"): return .number(try cursor.number())
    default: break
    }
    if cursor.skip(literal: "true") { return .bool(true) }
    if cursor.skip(literal: "false") { return .bool(false) }
    if cursor.skip(literal: "null") { return .null }
    throw cursor.unexpected("a value")
  }

  private mutating func elements() throws(JSONFault) -> [JSONNode] {
    try enter()
    defer { depth -= 1 }
    var elements: [JSONNode] = []
    if cursor.skip(UInt8(ascii: "]")) { return elements }
    while true {
      path.append(.index(elements.count))
      elements.append(try value())
      path.removeLast()
      if try isLast(closing: UInt8(ascii: "]")) { return elements }
    }
  }

  private mutating func members() throws(JSONFault) -> [JSONMember] {
    try enter()
    defer { depth -= 1 }
    var members: [JSONMember] = []
    var firstLines: [String: Int] = [:]
    if cursor.skip(UInt8(ascii: "}")) { return members }
    while true {
      guard cursor.peek == UInt8(ascii: "\"") else { throw cursor.unexpected("a key in double quotes") }
      let (line, column, offset) = (cursor.line, cursor.column, cursor.offset)
      let key = try cursor.string()
      path.append(.key(key))
      if let first = firstLines.updateValue(line, forKey: key) {
        firstLines[key] = first
        let message = "repeated key (first on line \(first))"
        repeatedKeys.append(JSONFault(line: line, column: column, keyPath: path.text, message: message))
      }
      cursor.skipWhitespace()
      guard cursor.skip(UInt8(ascii: ":")) else { throw cursor.unexpected("\":\" after the key") }
      cursor.skipWhitespace()
      members.append(JSONMember(key: key, line: line, offset: offset, node: try value()))
      path.removeLast()
      if try isLast(closing: UInt8(ascii: "}")) { return members }
    }
  }

  /// Goes past the opening bracket.
  private mutating func enter() throws(JSONFault) {
    guard depth < Self.depthMax else { throw cursor.fault("is nested deeper than \(Self.depthMax) levels") }
    depth += 1
    cursor.advance()
    cursor.skipWhitespace()
  }

  /// After an element: goes past the comma, or past the closing bracket and says so.
  private mutating func isLast(closing bracket: UInt8) throws(JSONFault) -> Bool {
    cursor.skipWhitespace()
    if cursor.skip(bracket) { return true }
    guard cursor.skip(UInt8(ascii: ",")) else {
      throw cursor.unexpected("\",\" or \"\(Character(UnicodeScalar(bracket)))\"")
    }
    cursor.skipWhitespace()
    guard cursor.peek != bracket else { throw cursor.fault("a comma before the closing bracket is not JSON") }
    return false
  }
}

/// One step from an object or array to what is in it.
enum JSONPathStep {
  case key(String)
  case index(Int)
}

extension [JSONPathStep] {
  /// Such as `clients.demo-app.tokens[0]`.
  var text: String {
    reduce(into: "") { text, step in
      switch step {
      case .key(let key): text += text.isEmpty ? key : ".\(key)"
      case .index(let index): text += "[\(index)]"
      }
    }
  }
}
