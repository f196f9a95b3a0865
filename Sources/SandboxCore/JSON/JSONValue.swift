/// A JSON value that preserves the order of members and the digits of numbers.
package indirect enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  /// The number as written in the text.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([JSONMember])
}

package struct JSONMember: Equatable, Sendable {
  package let key: String
  package let value: JSONValue

  package init(_ key: String, _ value: JSONValue) {
    self.key = key
    self.value = value
  }
}

extension JSONValue {
  static func integer(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }

  /// The name of this kind of value in the errors of Go's decoder.
  var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "bool"
    case .number: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }

  /// The string; nil for every other kind.
  var text: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral
{
  package init(stringLiteral value: String) { self = .string(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(elements.map { JSONMember($0.0, $0.1) })
  }
}

extension JSONValue {
  /// The keys of an object; empty for every other kind.
  package var keys: [String] {
    guard case .object(let members) = self else { return [] }
    return members.map(\.key)
  }

  /// The last member of an object with that key; nil if there is none or the value is not an object. Setting a member
  /// turns any other value into an object.
  package subscript(key: String) -> JSONValue? {
    get {
      guard case .object(let members) = self else { return nil }
      return members.last { $0.key.hasSameBytes(as: key) }?.value
    }
    set {
      var members = if case .object(let members) = self { members } else { [JSONMember]() }
      let index = members.lastIndex { $0.key.hasSameBytes(as: key) } ?? members.endIndex
      members.replaceSubrange(
        index..<min(index + 1, members.endIndex), with: newValue.map { [JSONMember(key, $0)] } ?? [])
      self = .object(members)
    }
  }
}

extension String {
  /// Byte equality, as in Go. Swift's `==` treats "é" and "e" + U+0301 as equal.
  func hasSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }

  /// Byte order, as in Go.
  func precedesByBytes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}
