/// A JSON value and where it stands in its file.
struct JSONNode {
  enum Value {
    case null
    case bool(Bool)
    /// As written, so that nothing is lost before the bounds of its key are known.
    case number(String)
    case string(String)
    case array([JSONNode])
    case object([JSONMember])
  }

  let value: Value
  /// From 1.
  let line: Int
  /// From 1, in bytes.
  let column: Int
  /// Where it stands in the text, with its quotes or brackets.
  let bytes: Range<Int>
}

/// One key of an object with its value, in the order of the file.
struct JSONMember {
  let key: String
  /// The line of the key, from 1.
  let line: Int
  /// Where its key begins in the text, with its quote.
  let offset: Int
  let node: JSONNode
}

/// What is not JSON, or not JSON that two readers would understand alike.
struct JSONFault: Error, Equatable {
  let line: Int
  /// From 1, in bytes.
  let column: Int
  /// The path of keys to the place, empty for faults of syntax.
  let keyPath: String
  let message: String
}
