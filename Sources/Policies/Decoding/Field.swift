/// A value of a policy file with its key path; reads it as what its key wants, or notes why it cannot be read so.
struct Field {
  let node: JSONNode
  let keyPath: String
  /// As findings name it.
  let file: String
  let log: FindingLog

  var isNull: Bool {
    if case .null = node.value { return true }
    return false
  }

  func error(_ message: String) {
    note(.error, message)
  }

  func warning(_ message: String) {
    note(.warning, message)
  }

  func remark(_ message: String) {
    note(.note, message)
  }

  func string() -> String? {
    guard case .string(let text) = node.value else { return wrongType("a string") }
    return text
  }

  /// A string with at least one byte and at most `byteCountMax`, without control characters.
  func label(byteCountMax: Int = 256) -> String? {
    guard let text = string() else { return nil }
    guard (1...byteCountMax).contains(text.utf8.count), !text.unicodeScalars.contains(where: \.isControl) else {
      return refused("must be 1 to \(byteCountMax) bytes without control characters")
    }
    return text
  }

  func bool() -> Bool? {
    guard case .bool(let value) = node.value else { return wrongType("true or false") }
    return value
  }

  func integer(in bounds: ClosedRange<Int>) -> Int? {
    guard case .number(let text) = node.value else { return wrongType("a whole number") }
    guard let value = Int(text) else { return refused("must be a whole number, written without point or exponent") }
    guard bounds.contains(value) else { return refused("must be \(bounds.lowerBound) to \(bounds.upperBound)") }
    return value
  }

  func number(in bounds: ClosedRange<Double>) -> Double? {
    guard case .number(let text) = node.value else { return wrongType("a number") }
    guard let value = Double(text), bounds.contains(value) else {
      return refused("must be \(plain(bounds.lowerBound)) to \(plain(bounds.upperBound))")
    }
    return value
  }

  /// A number of seconds within `bounds` as whole milliseconds.
  func milliseconds(inSeconds bounds: ClosedRange<Double>) -> Int? {
    guard case .number = node.value else { return wrongType("a number of seconds") }
    guard let seconds = number(in: bounds) else { return nil }
    let milliseconds = (seconds * 1000).rounded()
    guard abs(milliseconds - seconds * 1000) < 1e-6 else { return refused("is finer than a millisecond") }
    return Int(milliseconds)
  }

  func elements() -> [Field]? {
    guard case .array(let elements) = node.value else { return wrongType("a list") }
    return elements.enumerated().map { index, node in child(node, keyPath: "\(keyPath)[\(index)]") }
  }

  /// The members of an object whose keys are names that the operator gives.
  func entries() -> [(name: String, field: Field)]? {
    guard case .object(let members) = node.value else { return wrongType("an object") }
    return members.map { member in (member.key, child(of: member)) }
  }

  /// The members of an object with these keys and no others.
  func members(_ known: [String]) -> Members? {
    guard case .object(let members) = node.value else { return wrongType("an object") }
    for member in members where !known.contains(member.key) {
      let hint = suggestion(for: member.key, among: known)
      log.append(
        Finding(
          .error, file: file, line: member.line, keyPath: child(of: member).keyPath, message: "unknown key\(hint)"))
    }
    return Members(object: self, members: members)
  }

  func child(of member: JSONMember) -> Field {
    child(member.node, keyPath: keyPath.isEmpty ? member.key : "\(keyPath).\(member.key)")
  }

  /// Notes an error and gives nil, as the reading functions do. The value itself is never shown: it may be a secret.
  func refused<Value>(_ message: String) -> Value? {
    error(message)
    return nil
  }

  func wrongType<Value>(_ wanted: String) -> Value? {
    refused("must be \(wanted), not \(node.value.kind)")
  }

  private func child(_ node: JSONNode, keyPath: String) -> Field {
    Field(node: node, keyPath: keyPath, file: file, log: log)
  }

  private func note(_ severity: Finding.Severity, _ message: String) {
    log.append(Finding(severity, file: file, line: node.line, keyPath: keyPath, message: message))
  }

  private func plain(_ bound: Double) -> String {
    Int(exactly: bound).map(String.init) ?? "\(bound)"
  }
}

/// The members of one object, by key.
struct Members {
  let object: Field
  let members: [JSONMember]

  /// nil when the file does not have the key.
  subscript(key: String) -> Field? {
    members.first { member in member.key == key }.map(object.child(of:))
  }

  /// The member with this key; an error is noted when the file does not have it.
  func required(_ key: String) -> Field? {
    guard let field = self[key] else { return object.refused("\"\(key)\" is missing") }
    return field
  }
}

extension JSONNode.Value {
  fileprivate var kind: String {
    switch self {
    case .null: "null"
    case .bool: "true or false"
    case .number: "a number"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }
}
