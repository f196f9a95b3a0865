/// A value in a JSON text.
struct JSONNode: Sendable {
  enum Value {
    case null
    case bool(Bool)
    /// As written, so that no precision is lost before its key's bounds are known.
    case number(String)
    case string(String)
    case array(JSONElements)
    case object(JSONMembers)
  }

  let document: JSONDocument
  /// The index in `JSONDocument.entries`.
  let index: Int

  /// Copies strings and numbers out of the document on each access.
  var value: Value {
    switch document.bytes[bytes.lowerBound] {
    case UInt8(ascii: "n"): .null
    case UInt8(ascii: "t"): .bool(true)
    case UInt8(ascii: "f"): .bool(false)
    case UInt8(ascii: "\""): .string(document.string(at: bytes.lowerBound))
    case UInt8(ascii: "["): .array(JSONElements(parent: self))
    case UInt8(ascii: "{"): .object(JSONMembers(parent: self))
    default: .number(String(decoding: document.bytes[bytes], as: UTF8.self))
    }
  }

  var isObject: Bool { document.bytes[bytes.lowerBound] == UInt8(ascii: "{") }

  /// The range of a string in the text, without its quotes; nil: it is something else, or has escapes.
  var plainString: Range<Int>? {
    let start = bytes.lowerBound
    return document.bytes[start] == UInt8(ascii: "\"") ? document.bytes.plainJSONString(at: start) : nil
  }

  /// Its range in the text, with its quotes or brackets.
  var bytes: Range<Int> { Int(document.entries[index].start)..<Int(document.entries[index].end) }

  /// From 1.
  var line: Int { document.line(of: bytes.lowerBound) }

  /// For example `clients.demo-app.tokens[0]`.
  var path: String { document.path(of: index) }

  /// For example `clients.*.tokens[]`.
  var pattern: String { document.pattern(of: index) }
}

/// The values in an array, in file order.
struct JSONElements: Sequence, IteratorProtocol {
  private let document: JSONDocument
  private var nextIndex: Int
  private let end: Int

  fileprivate init(parent: JSONNode) {
    document = parent.document
    nextIndex = parent.index + 1
    end = Int(document.entries[parent.index].next)
  }

  mutating func next() -> JSONNode? {
    guard nextIndex < end else { return nil }
    defer { nextIndex = Int(document.entries[nextIndex].next) }
    return JSONNode(document: document, index: nextIndex)
  }

  var last: JSONNode? { reduce(nil) { _, node in node } }

  /// How many are left.
  var count: Int {
    var (count, index) = (0, nextIndex)
    while index < end {
      count += 1
      index = Int(document.entries[index].next)
    }
    return count
  }
}

/// The keys of an object with their values, in file order.
struct JSONMembers: Sequence, IteratorProtocol {
  private var values: JSONElements

  fileprivate init(parent: JSONNode) {
    values = JSONElements(parent: parent)
  }

  mutating func next() -> JSONMember? { values.next().map(JSONMember.init) }

  var isEmpty: Bool { values.count == 0 }

  var last: JSONMember? { values.last.map(JSONMember.init) }
}

/// One key of an object with its value.
struct JSONMember {
  let node: JSONNode

  var key: String { node.document.string(at: offset) }

  /// The offset of its key's opening quote.
  var offset: Int { Int(node.document.entries[node.index].keyOrIndex) }

  /// The line of the key, from 1.
  var line: Int { node.document.line(of: offset) }

  func isNamed(_ name: String) -> Bool { node.document.string(at: offset, is: name) }
}
