package import Bytes

/// The members of one JSON object, for comparison: of a record that Core has, or of a request for one.
///
/// Strict: text after the object, a repeated name in any case, and a name that is not ASCII make it unreadable, because
/// Core's parser might see something else.
package struct JSONRecord: Sendable {
  package indirect enum Value: Hashable, Sendable {
    case null
    case bool(Bool)
    /// As written.
    case number(String)
    case string(ByteText)
    case array([Value])
    case object([ByteText: Value])
  }

  /// By their names in lower case: Core's parser ignores the case.
  package private(set) var members: [ByteText: Value] = [:]

  /// nil: the text is not an object that everyone reads in the same way.
  package init?(_ text: [UInt8]) {
    let (root, faults) = JSONReader.read(text)
    guard let root, faults.isEmpty, case .object(let nodes) = root.value else { return nil }
    for node in nodes {
      let name = node.key
      guard name.utf8.allSatisfy({ $0 < 0x80 }),
        members.updateValue(Value(node.node), forKey: ByteText(name.lowercased())) == nil
      else { return nil }
    }
  }

  package subscript(name: ByteText) -> Value? { members[name] }

  /// Whether a member is the string with these bytes.
  package func has(_ name: ByteText, _ text: String) -> Bool { members[name] == .string(ByteText(text)) }

  /// The value of a member that is a string.
  package func text(_ name: ByteText) -> String? {
    guard case .string(let value) = members[name] else { return nil }
    return value.text
  }
}

extension JSONRecord.Value {
  fileprivate init(_ node: JSONNode) {
    switch node.value {
    case .null: self = .null
    case .bool(let flag): self = .bool(flag)
    case .number(let text): self = .number(text)
    case .string(let text): self = .string(ByteText(text))
    case .array(let elements): self = .array(elements.map { Self($0) })
    case .object(let members):
      self = .object(Dictionary(members.map { (ByteText($0.key), Self($0.node)) }) { $1 })
    }
  }
}
