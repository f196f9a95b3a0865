/// The JSON fields of one of Core's Go structs and their types.
struct BodyShape {
  enum Kind {
    case string, strings, bool, integer, number, time, map
    /// Any value; the caller decodes it.
    case any
  }

  /// The Go type with its package, as Go's errors name it.
  let type: String
  let fields: [(name: String, kind: Kind)]

  static let bytesMax = 5 * 1024 * 1024

  /// Decodes the body as Go's `json.Decoder` does: names are case-insensitive, the last of several equal names wins,
  /// `null` and unknown members are ignored, and only the first type mismatch is reported.
  func read(_ body: [UInt8]) throws(CoreError) -> BoundBody {
    guard body.count <= Self.bytesMax else { throw .malformed("http: request body too large") }
    let value: JSONValue
    do { value = try JSONReader.read(body) } catch { throw .malformed(error.message) }
    do { return try bind(value) } catch { throw .malformed(error.message) }
  }

  private func bind(_ value: JSONValue) throws(BindFault) -> BoundBody {
    if value == .null { return BoundBody(values: [:]) }
    guard case .object(let members) = value else {
      throw BindFault(message: "json: cannot unmarshal \(value.kindName) into Go value of type \(type)")
    }
    var bound: [String: JSONValue] = [:]
    var first: BindFault?
    for member in members where member.value != .null {
      guard let field = field(named: member.key) else { continue }
      do { bound[field.name] = try bind(member.value, to: field) } catch { first = first ?? error }
    }
    if let first { throw first }
    return BoundBody(values: bound)
  }

  private func field(named key: String) -> (name: String, kind: Kind)? {
    fields.first { $0.name.hasSameBytes(as: key) }
      ?? fields.first { $0.name.hasSameBytes(as: Self.folded(key)) }
  }

  /// As Go folds names: it also equates `ſ` (U+017F) with `s`, and the Kelvin sign, which Swift lowercases, with `k`.
  private static func folded(_ key: String) -> String {
    String(String.UnicodeScalarView(key.lowercased().unicodeScalars.map { $0 == "\u{17F}" ? "s" : $0 }))
  }

  private func bind(_ value: JSONValue, to field: (name: String, kind: Kind)) throws(BindFault) -> JSONValue {
    func mismatch(_ value: JSONValue, _ type: String) -> BindFault {
      var what = value.kindName
      if case .number(let text) = value, type != "string", type != "bool" { what += " \(text)" }
      return wrongType(what, field.name, type)
    }
    switch (field.kind, value) {
    case (.string, .string), (.bool, .bool), (.any, _): return value
    case (.string, _): throw mismatch(value, "string")
    case (.bool, _): throw mismatch(value, "bool")
    case (.strings, .array(let elements)):
      for element in elements where element.text == nil && element != .null { throw mismatch(element, "string") }
      return .array(elements.map { $0 == .null ? "" : $0 })
    case (.strings, _): throw wrongType(value.kindName, field.name, "[]string")
    case (.integer, .number(let text)):
      guard Int(text) != nil else { throw mismatch(value, "int") }
      return value
    case (.integer, _): throw mismatch(value, "int")
    case (.number, .number(let text)):
      guard GoNumber.text(text) != nil else { throw mismatch(value, "float64") }
      return value
    case (.number, _): throw mismatch(value, "float64")
    case (.time, .string(let text)):
      do { _ = try GoTimeText(text) } catch { throw BindFault(message: error.message) }
      return value
    case (.time, _): throw BindFault(message: "Time.UnmarshalJSON: input is not a JSON string")
    case (.map, .object):
      do { return try value.throughGoMap() } catch {
        throw wrongType("number \(error.number)", field.name, "float64")
      }
    case (.map, _): throw wrongType(value.kindName, field.name, "map[string]interface {}")
    }
  }

  private func wrongType(_ what: String, _ field: String, _ type: String) -> BindFault {
    let structName = self.type.split(separator: ".").last ?? ""
    return BindFault(
      message: "json: cannot unmarshal \(what) into Go struct field \(structName).\(field) of type \(type)")
  }

  private struct BindFault: Error {
    let message: String
  }
}

/// The members of a body that its shape declares, each with the declared type.
struct BoundBody {
  fileprivate let values: [String: JSONValue]

  fileprivate init(values: [String: JSONValue]) { self.values = values }

  /// Empty if the member is missing, like Go's zero value.
  func string(_ name: String) -> String { values[name]?.text ?? "" }

  func bool(_ name: String) -> Bool { values[name] == .bool(true) }

  func integer(_ name: String) -> Int {
    guard case .number(let text) = values[name] else { return 0 }
    return Int(text) ?? 0
  }

  /// The digits as sent; nil if the member is missing.
  func number(_ name: String) -> String? {
    guard case .number(let text) = values[name] else { return nil }
    return text
  }

  /// Nil if the member is missing.
  func strings(_ name: String) -> [String]? {
    guard case .array(let elements) = values[name] else { return nil }
    return elements.compactMap(\.text)
  }

  /// `null` if the member is missing, as Go encodes a nil map.
  func map(_ name: String) -> JSONValue { values[name] ?? .null }

  func value(_ name: String) -> JSONValue? { values[name] }
}
