/// A strict JSON parser (RFC 8259): rejects what parsers interpret differently.
struct JSONReader {
  static let byteCountMax = 64 << 20
  static let depthMax = 32

  /// The root value, nil after a syntax error, and all faults found until then.
  typealias Result = (root: JSONNode?, faults: [JSONFault])

  private var cursor: JSONCursor
  private let document: JSONDocument
  private var depth = 0
  private var repeatedKeys: [JSONFault] = []

  private init(_ bytes: [UInt8]) {
    cursor = JSONCursor(bytes)
    document = JSONDocument(bytes)
  }

  static func read(_ bytes: [UInt8]) -> Result {
    guard bytes.count <= byteCountMax else {
      return (nil, [JSONFault(line: 1, keyPath: "", message: "is longer than \(byteCountMax >> 20) MiB")])
    }
    var reader = JSONReader(bytes)
    do throws(JSONFault) {
      try reader.text()
      return (JSONNode(document: reader.document, index: 0), reader.repeatedKeys)
    } catch {
      return (nil, reader.repeatedKeys + [error])
    }
  }

  private mutating func text() throws(JSONFault) {
    // RFC 8259 §8.1: a text must not begin with a byte order mark.
    guard !cursor.startsWithByteOrderMark else { throw cursor.fault("starts with a byte order mark; remove it") }
    cursor.skipWhitespace()
    try value(at: 0, in: 0)
    cursor.skipWhitespace()
    guard cursor.isAtEnd else { throw cursor.unexpected("the end of the file") }
  }

  /// - Parameters: as of `JSONDocument.Entry`.
  private mutating func value(at keyOrIndex: Int, in parent: Int) throws(JSONFault) {
    let index = document.entries.count
    document.entries.append(
      JSONDocument.Entry(
        start: UInt32(cursor.offset), end: 0, keyOrIndex: UInt32(keyOrIndex), parent: UInt32(parent), next: 0))
    try skipValue(at: index)
    document.entries[index].end = UInt32(cursor.offset)
    document.entries[index].next = UInt32(document.entries.count)
  }

  private mutating func skipValue(at index: Int) throws(JSONFault) {
    switch cursor.peek {
    case UInt8(ascii: "{"): return try members(of: index)
    case UInt8(ascii: "["): return try elements(of: index)
    case UInt8(ascii: "\""): return try cursor.skipString()
    case .some(UInt8(ascii: "0")...UInt8(ascii: "9")), UInt8(ascii: "-"): return try cursor.skipNumber()
    default: break
    }
    guard cursor.skip(literal: "true") || cursor.skip(literal: "false") || cursor.skip(literal: "null") else {
      throw cursor.unexpected("a value")
    }
  }

  private mutating func elements(of array: Int) throws(JSONFault) {
    try enter()
    defer { depth -= 1 }
    var count = 0
    if cursor.skip(UInt8(ascii: "]")) { return }
    while true {
      try value(at: count, in: array)
      count += 1
      if try isLast(closing: UInt8(ascii: "]")) { return }
    }
  }

  private mutating func members(of object: Int) throws(JSONFault) {
    try enter()
    defer { depth -= 1 }
    var keys = JSONKeys(object: object)
    if cursor.skip(UInt8(ascii: "}")) { return }
    while true {
      guard cursor.peek == UInt8(ascii: "\"") else { throw cursor.unexpected("a key in double quotes") }
      let offset = cursor.offset
      try cursor.skipString()
      if let first = keys.insert(keyAt: offset, in: document) { recordRepeatedKey(offset, first, in: object) }
      cursor.skipWhitespace()
      guard cursor.skip(UInt8(ascii: ":")) else { throw cursor.unexpected("\":\" after the key") }
      cursor.skipWhitespace()
      try value(at: offset, in: object)
      if try isLast(closing: UInt8(ascii: "}")) { return }
    }
  }

  private mutating func recordRepeatedKey(_ offset: Int, _ first: Int, in object: Int) {
    let lines = document.lines
    repeatedKeys.append(
      JSONFault(
        line: lines.line(of: offset), keyPath: document.path(of: object, key: offset),
        message: "repeated key (first on line \(lines.line(of: first)))"))
  }

  /// Skips the opening bracket and checks the nesting depth.
  private mutating func enter() throws(JSONFault) {
    guard depth < Self.depthMax else { throw cursor.fault("is nested deeper than \(Self.depthMax) levels") }
    depth += 1
    cursor.advance()
    cursor.skipWhitespace()
  }

  /// Skips the comma after an element, or the closing bracket, and returns whether it was the bracket.
  private mutating func isLast(closing bracket: UInt8) throws(JSONFault) -> Bool {
    cursor.skipWhitespace()
    if cursor.skip(bracket) { return true }
    guard cursor.skip(UInt8(ascii: ",")) else {
      throw cursor.unexpected("\",\" or \"\(Character(UnicodeScalar(bracket)))\"")
    }
    cursor.skipWhitespace()
    guard cursor.peek != bracket else { throw cursor.fault("trailing comma before the closing bracket") }
    return false
  }
}

/// The keys of one object so far. Compared one by one while there are few, then by hash, so that the total time is
/// linear.
private struct JSONKeys {
  private static let comparedMax = 8

  let object: Int
  private var count = 0
  private var firstOffsets: [String: Int] = [:]

  init(object: Int) {
    self.object = object
  }

  /// Inserts a key whose value is not read yet. Returns the offset of the same key before it; nil: there is none.
  mutating func insert(keyAt offset: Int, in document: JSONDocument) -> Int? {
    count += 1
    guard count > Self.comparedMax else {
      return offsets(in: document).first { other in document.keysAreEqual(other, offset) }
    }
    if firstOffsets.isEmpty {
      for other in offsets(in: document) { insertHashed(other, document) }
    }
    return insertHashed(offset, document)
  }

  /// The offsets of the keys whose values are read.
  private func offsets(in document: JSONDocument) -> some Sequence<Int> {
    sequence(first: object + 1) { index in Int(document.entries[index].next) }.lazy
      .prefix { index in index < document.entries.count }.map { index in Int(document.entries[index].keyOrIndex) }
  }

  @discardableResult
  private mutating func insertHashed(_ offset: Int, _ document: JSONDocument) -> Int? {
    let first = firstOffsets[document.string(at: offset), default: offset]
    firstOffsets[document.string(at: offset)] = first
    return first == offset ? nil : first
  }
}
