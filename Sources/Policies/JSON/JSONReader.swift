/// Reads one JSON text (RFC 8259) strictly: what readers disagree about is refused, not guessed.
struct JSONReader {
  static let byteCountMax = 64 << 20
  static let depthMax = 32

  /// The value, nil after a fault of syntax, and every fault met up to there.
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
    guard !cursor.startsWithByteOrderMark else { throw cursor.fault("begins with a byte order mark") }
    cursor.skipWhitespace()
    try value(at: 0, in: 0)
    cursor.skipWhitespace()
    guard cursor.isAtEnd else { throw cursor.unexpected("the end of the file") }
  }

  /// - Parameters: as of `JSONDocument.Entry`.
  private mutating func value(at place: Int, in parent: Int) throws(JSONFault) {
    let index = document.entries.count
    document.entries.append(
      JSONDocument.Entry(
        start: UInt32(cursor.offset), end: 0, place: UInt32(place), parent: UInt32(parent), next: 0))
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
      if let first = keys.firstPlace(ofKeyAt: offset, in: document) { noteRepeated(offset, first, in: object) }
      cursor.skipWhitespace()
      guard cursor.skip(UInt8(ascii: ":")) else { throw cursor.unexpected("\":\" after the key") }
      cursor.skipWhitespace()
      try value(at: offset, in: object)
      if try isLast(closing: UInt8(ascii: "}")) { return }
    }
  }

  private mutating func noteRepeated(_ offset: Int, _ first: Int, in object: Int) {
    let lines = document.lines
    repeatedKeys.append(
      JSONFault(
        line: lines.line(of: offset), keyPath: document.path(of: object, key: offset),
        message: "repeated key (first on line \(lines.line(of: first)))"))
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

/// The keys of one object as far as it is read: compared one by one while they are few, then by hash, so that the time
/// for all of them grows with their number alone.
private struct JSONKeys {
  private static let comparedMax = 8

  let object: Int
  private var count = 0
  private var firstPlaces: [String: Int] = [:]

  init(object: Int) {
    self.object = object
  }

  /// Takes in a key whose value is not read yet; where the same key stands first, if it stands there already.
  mutating func firstPlace(ofKeyAt offset: Int, in document: JSONDocument) -> Int? {
    count += 1
    guard count > Self.comparedMax else {
      return places(in: document).first { place in document.keysAreEqual(place, offset) }
    }
    if firstPlaces.isEmpty {
      for place in places(in: document) { takeIn(place, document) }
    }
    return takeIn(offset, document)
  }

  /// Of the keys before this one.
  private func places(in document: JSONDocument) -> some Sequence<Int> {
    sequence(first: object + 1) { index in Int(document.entries[index].next) }.lazy
      .prefix { index in index < document.entries.count }.map { index in Int(document.entries[index].place) }
  }

  @discardableResult
  private mutating func takeIn(_ offset: Int, _ document: JSONDocument) -> Int? {
    let first = firstPlaces[document.string(at: offset), default: offset]
    firstPlaces[document.string(at: offset)] = first
    return first == offset ? nil : first
  }
}
