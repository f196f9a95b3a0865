/// A value of a policy file with its key path; reads it as what its key wants, or notes why it cannot be read so.
struct Field {
  let node: JSONNode
  private let source: Source

  /// What all fields of one file share.
  private final class Source {
    let file: String
    let log: FindingLog

    init(file: String, log: FindingLog) {
      self.file = file
      self.log = log
    }
  }

  /// The root of a file.
  init(root node: JSONNode, file: String, log: FindingLog) {
    self.init(node: node, source: Source(file: file, log: log))
  }

  private init(node: JSONNode, source: Source) {
    self.node = node
    self.source = source
  }

  /// As findings name it.
  var file: String { source.file }

  /// Where its findings go.
  var log: FindingLog { source.log }

  var keyPath: String { node.path }

  var isNull: Bool {
    if case .null = node.value { return true }
    return false
  }

  func error(_ message: String) {
    note(.error, message)
  }

  /// Two files contradict each other: an error that is never contained.
  func clash(_ message: String) {
    note(.error, message, node, line: node.line, isClash: true)
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

  /// A part of a whole: more than 0, at most 1.
  func share() -> Double? {
    guard case .number(let text) = node.value else { return wrongType("a number") }
    guard let value = Double(text), value > 0, value <= 1 else {
      return refused("must be more than 0 and at most 1, such as 0.25")
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
    return elements.map { node in Field(node: node, source: source) }
  }

  /// The members of an object whose keys are names that the operator gives.
  func entries() -> [(name: String, field: Field)]? {
    guard case .object(let members) = node.value else { return wrongType("an object") }
    return members.map { member in (member.key, child(of: member)) }
  }

  /// The members of an object with these keys and no others.
  func members(_ known: [String]) -> Members? {
    guard case .object(let members) = node.value else { return wrongType("an object") }
    for member in members where !known.contains(where: member.isNamed) {
      note(.error, "unknown key\(suggestion(for: member.key, among: known))", member.node, line: member.line)
    }
    return Members(object: self, members: members)
  }

  func child(of member: JSONMember) -> Field {
    Field(node: member.node, source: source)
  }

  /// Notes an error and gives nil, as the reading functions do. The value itself is never shown: it may be a secret.
  func refused<Value>(_ message: String) -> Value? {
    error(message)
    return nil
  }

  func wrongType<Value>(_ wanted: String) -> Value? {
    refused("must be \(wanted), not \(node.value.kind)")
  }

  private func note(_ severity: Finding.Severity, _ message: String) {
    note(severity, message, node, line: node.line)
  }

  private func note(
    _ severity: Finding.Severity, _ message: String, _ node: JSONNode, line: Int, isClash: Bool = false
  ) {
    source.log.append(
      Finding(severity, file: file, line: line, keyPath: node.path, keyPattern: node.pattern, message: message),
      isClash: isClash)
  }

  private func plain(_ bound: Double) -> String {
    Int(exactly: bound).map(String.init) ?? "\(bound)"
  }
}

/// The members of one object, by key.
struct Members {
  let object: Field
  let members: JSONMembers

  /// nil when the file does not have the key.
  subscript(key: String) -> Field? {
    members.first { member in member.isNamed(key) }.map(object.child(of:))
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
