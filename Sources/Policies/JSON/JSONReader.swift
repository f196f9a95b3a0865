/// A strict JSON parser (RFC 8259): rejects what parsers interpret differently.
struct JSONReader {
  static let byteCountMax = 64 << 20
  static let depthMax = 32

  /// The root value, nil after a syntax error, and all faults found until then.
  typealias Result = (root: JSONNode?, faults: [JSONFault])

  private var cursor: JSONCursor
  private var entries: [JSONDocument.Entry] = []
  private var depth = 0
  private var repeatedKeys: [RepeatedKey] = []

  private struct RepeatedKey {
    /// The offset of its opening quote.
    let offset: Int
    let firstOffset: Int
    /// The index of its object.
    let object: Int

    func fault(in document: JSONDocument) -> JSONFault {
      JSONFault(
        line: document.line(of: offset), keyPath: document.path(of: object, key: offset),
        message: "repeated key (first on line \(document.line(of: firstOffset)))")
    }
  }

  private init(_ bytes: [UInt8]) {
    cursor = JSONCursor(bytes)
    // A value rarely takes fewer bytes; capacity that is not used takes no memory.
    entries.reserveCapacity(bytes.count / 16 + 1)
  }

  static func read(_ bytes: [UInt8]) -> Result {
    guard bytes.count <= byteCountMax else {
      return (nil, [JSONFault(line: 1, keyPath: "", message: "is longer than \(byteCountMax >> 20) MiB")])
    }
    var reader = JSONReader(bytes)
    do throws(JSONFault) {
      try reader.text()
      let document = reader.document
      return (JSONNode(document: document, index: 0), reader.repeatedKeys.map { $0.fault(in: document) })
    } catch {
      let document = reader.document
      return (nil, reader.repeatedKeys.map { $0.fault(in: document) } + [error])
    }
  }

  private var document: JSONDocument {
    JSONDocument(cursor.bytes, entries, hasEscapes: cursor.hasRareStrings)
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
  @_optimize(speed)
  private mutating func value(at keyOrIndex: Int, in parent: Int) throws(JSONFault) {
    let index = entries.count
    entries.append(
      JSONDocument.Entry(
        start: UInt32(truncatingIfNeeded: cursor.offset), end: 0, keyOrIndex: UInt32(truncatingIfNeeded: keyOrIndex),
        parent: UInt32(truncatingIfNeeded: parent), next: 0))
    try skipValue(at: index)
    entries[index].end = UInt32(truncatingIfNeeded: cursor.offset)
    entries[index].next = UInt32(truncatingIfNeeded: entries.count)
  }

  @_optimize(speed)
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

  @_optimize(speed)
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

  @_optimize(speed)
  private mutating func members(of object: Int) throws(JSONFault) {
    try enter()
    defer { depth -= 1 }
    var keys = JSONKeys(object: object)
    if cursor.skip(UInt8(ascii: "}")) { return }
    while true {
      guard cursor.peek == UInt8(ascii: "\"") else { throw cursor.unexpected("a key in double quotes") }
      let offset = cursor.offset
      try cursor.skipString()
      if let first = keys.insert(keyAt: offset, in: cursor.bytes, entries) {
        repeatedKeys.append(RepeatedKey(offset: offset, firstOffset: first, object: object))
      }
      cursor.skipWhitespace()
      guard cursor.skip(UInt8(ascii: ":")) else { throw cursor.unexpected("\":\" after the key") }
      cursor.skipWhitespace()
      try value(at: offset, in: object)
      if try isLast(closing: UInt8(ascii: "}")) { return }
    }
  }

  /// Skips the opening bracket and checks the nesting depth.
  @_optimize(speed)
  private mutating func enter() throws(JSONFault) {
    guard depth < Self.depthMax else { throw cursor.fault("is nested deeper than \(Self.depthMax) levels") }
    depth += 1
    cursor.advance()
    cursor.skipWhitespace()
  }

  /// Skips the comma after an element, or the closing bracket, and returns whether it was the bracket.
  @_optimize(speed)
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
  ///
  /// - Parameter entries: those of the keys whose values are read.
  @_optimize(speed)
  mutating func insert(keyAt offset: Int, in bytes: [UInt8], _ entries: [JSONDocument.Entry]) -> Int? {
    count &+= 1
    guard count > Self.comparedMax else {
      let entries = entries.span
      var index = object &+ 1
      while index < entries.count {
        let other = Int(entries[index].keyOrIndex)
        if keysAreEqual(other, offset, bytes) { return other }
        index = Int(entries[index].next)
      }
      return nil
    }
    if firstOffsets.isEmpty {
      var index = object + 1
      while index < entries.count {
        _ = insertHashed(Int(entries[index].keyOrIndex), bytes)
        index = Int(entries[index].next)
      }
    }
    return insertHashed(offset, bytes)
  }

  private mutating func insertHashed(_ offset: Int, _ bytes: [UInt8]) -> Int? {
    // One access for both cases: hashing the key takes most of the time.
    let first = { (first: inout Int) in first }(&firstOffsets[bytes.jsonString(at: offset), default: offset])
    return first == offset ? nil : first
  }

  /// Whether two keys are equal as strings, regardless of escapes and of Unicode composition.
  @_optimize(speed)
  private func keysAreEqual(_ left: Int, _ right: Int, _ bytes: [UInt8]) -> Bool {
    let span = bytes.span
    var distance = 1
    while true {
      let (leftByte, rightByte) = (span[left &+ distance], span[right &+ distance])
      guard leftByte.isPlain, rightByte.isPlain else {
        return bytes.jsonString(at: left) == bytes.jsonString(at: right)
      }
      guard leftByte == rightByte else { return false }
      if leftByte == UInt8(ascii: "\"") { return true }
      distance &+= 1
    }
  }
}

extension UInt8 {
  /// Whether the byte is unescaped ASCII, which compares bytewise; other text may have escapes or Unicode composition.
  fileprivate var isPlain: Bool { self < 0x80 && self != UInt8(ascii: "\\") }
}
