package import Bytes

/// The members of one JSON object, for comparison: of a record that Core has, or of a request for one.
///
/// Strict: text after the object, a repeated name in any case, a name that is not ASCII, and more than `membersMax` members
/// make it unreadable, because Core's parser might see something else.
package struct JSONRecord: Sendable {
  package indirect enum Value: Sendable {
    case null
    case bool(Bool)
    /// As written.
    case number(String)
    case string(ByteText)
    case array([Value])
    case object([Member])
  }

  package struct Member: Sendable {
    package let name: ByteText
    package let value: Value

    package init(name: ByteText, value: Value) {
      self.name = name
      self.value = value
    }
  }

  fileprivate static let membersMax = 256

  /// With names in lower case: Core's parser ignores the case.
  package private(set) var members: [Member] = []

  /// nil: the text is not an object that everyone reads in the same way.
  package init?(_ text: [UInt8]) {
    let (root, faults) = JSONReader.read(text)
    guard let root, faults.isEmpty, case .object(let nodes) = root.value else { return nil }
    for node in nodes {
      let name = node.key
      guard members.count < Self.membersMax, name.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
      let lowered = ByteText(name.lowercased())
      guard self[lowered] == nil, let value = Value(node.node) else { return nil }
      members.append(Member(name: lowered, value: value))
    }
  }

  package subscript(name: ByteText) -> Value? { members.value(name) }

  /// Whether a member is the string with these bytes.
  package func has(_ name: ByteText, _ text: String) -> Bool { self[name]?.text == ByteText(text) }

  /// The value of a member that is a string.
  package func text(_ name: ByteText) -> String? { self[name]?.text?.text }
}

extension [JSONRecord.Member] {
  package func value(_ name: ByteText) -> JSONRecord.Value? { first { $0.name == name }?.value }
}

extension JSONRecord.Value {
  /// nil: an object has too many members.
  fileprivate init?(_ node: JSONNode) {
    switch node.value {
    case .null: self = .null
    case .bool(let flag): self = .bool(flag)
    case .number(let text): self = .number(text)
    case .string(let text): self = .string(ByteText(text))
    case .array(let elements):
      var values: [Self] = []
      for element in elements {
        guard let value = Self(element) else { return nil }
        values.append(value)
      }
      self = .array(values)
    case .object(let nodes):
      var members: [JSONRecord.Member] = []
      for node in nodes {
        guard members.count < JSONRecord.membersMax, let value = Self(node.node) else { return nil }
        members.append(JSONRecord.Member(name: ByteText(node.key), value: value))
      }
      self = .object(members)
    }
  }

  /// nil: it is not a string.
  package var text: ByteText? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  package var isNull: Bool {
    guard case .null = self else { return false }
    return true
  }
}
