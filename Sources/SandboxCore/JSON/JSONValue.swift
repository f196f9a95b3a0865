/// A JSON value that keeps the order of its members and the digits of its numbers.
package indirect enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  /// The number as it stands in the text.
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

  /// The name that Go's decoder gives to this kind of value in its errors.
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

  /// The string, or nil for every other kind.
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
  /// Of an object; none for every other kind.
  package var keys: [String] {
    guard case .object(let members) = self else { return [] }
    return members.map(\.key)
  }

  /// The last member of an object with that key; nil where there is none, and for every other kind, which setting makes
  /// an object.
  package subscript(key: String) -> JSONValue? {
    get {
      guard case .object(let members) = self else { return nil }
      return members.last { $0.key.hasSameBytes(as: key) }?.value
    }
    set {
      var members = if case .object(let members) = self { members } else { [JSONMember]() }
      let place = members.lastIndex { $0.key.hasSameBytes(as: key) } ?? members.endIndex
      members.replaceSubrange(
        place..<min(place + 1, members.endIndex), with: newValue.map { [JSONMember(key, $0)] } ?? [])
      self = .object(members)
    }
  }
}

extension String {
  /// Equality by bytes, as in Go; Swift's own takes "é" and "e" + U+0301 for the same.
  func hasSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }

  /// Order by bytes, as in Go.
  func precedesByBytes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}
