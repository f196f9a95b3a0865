/// A JSON value where it stands in its text.
struct JSONNode {
  enum Value {
    case null
    case bool(Bool)
    /// As written, so that nothing is lost before the bounds of its key are known.
    case number(String)
    case string(String)
    case array(JSONElements)
    case object(JSONMembers)
  }

  let document: JSONDocument
  /// The place in `JSONDocument.entries`.
  let index: Int

  /// Texts are copied out of the document each time.
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

  /// Where it stands in the text, with its quotes or brackets.
  var bytes: Range<Int> { Int(document.entries[index].start)..<Int(document.entries[index].end) }

  /// From 1.
  var line: Int { document.lines.line(of: bytes.lowerBound) }

  /// Such as `clients.demo-app.tokens[0]`.
  var path: String { document.path(of: index) }

  /// Such as `clients.*.tokens[]`.
  var pattern: String { document.pattern(of: index) }
}

/// The values in an array, in the order of the file.
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

  /// The last one.
  var last: JSONNode? { reduce(nil) { _, node in node } }
}

/// The keys of an object with their values, in the order of the file.
struct JSONMembers: Sequence, IteratorProtocol {
  private var values: JSONElements

  fileprivate init(parent: JSONNode) {
    values = JSONElements(parent: parent)
  }

  mutating func next() -> JSONMember? { values.next().map(JSONMember.init) }

  var isEmpty: Bool { first { _ in true } == nil }

  /// The last one.
  var last: JSONMember? { values.last.map(JSONMember.init) }
}

/// One key of an object with its value.
struct JSONMember {
  let node: JSONNode

  var key: String { node.document.string(at: offset) }

  /// Where its key begins in the text, with its quote.
  var offset: Int { Int(node.document.entries[node.index].place) }

  /// The line of the key, from 1.
  var line: Int { node.document.lines.line(of: offset) }

  func isNamed(_ name: some StringProtocol) -> Bool { node.document.string(at: offset, is: name) }
}
