/// A value in a policy file with its key path.
///
/// The reading functions return the value in the type that its key requires, or record an error and return nil.
struct Field {
  let node: JSONNode
  private let source: Source

  /// Shared by all fields of one file.
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

  /// The file's path, as findings show it.
  var file: String { source.file }

  var log: FindingLog { source.log }

  var keyPath: String { node.path }

  var isNull: Bool { Self.isNull(node) }

  static func isNull(_ node: JSONNode) -> Bool { node.document.bytes[node.bytes.lowerBound] == UInt8(ascii: "n") }

  func error(_ message: String) {
    record(.error, message)
  }

  /// Records that two files contradict each other: an error that is never contained.
  func conflict(_ message: String) {
    record(.error, message, node, line: node.line, isConflict: true)
  }

  func warning(_ message: String) {
    record(.warning, message)
  }

  func note(_ message: String) {
    record(.note, message)
  }

  func string() -> String? {
    guard case .string(let text) = node.value else { return wrongType("a string") }
    return text
  }

  /// A string of 1 to `byteCountMax` bytes without control characters.
  func label(byteCountMax: Int = 256) -> String? {
    guard let text = string() else { return nil }
    guard (1...byteCountMax).contains(text.utf8.count), !text.unicodeScalars.contains(where: \.isControl) else {
      return fail("must be 1 to \(byteCountMax) bytes without control characters")
    }
    return text
  }

  func bool() -> Bool? {
    guard case .bool(let value) = node.value else { return wrongType("true or false") }
    return value
  }

  func integer(in bounds: ClosedRange<Int>) -> Int? {
    guard case .number(let text) = node.value else { return wrongType("a whole number") }
    guard let value = Int(text) else { return fail("must be a whole number without decimal point and exponent") }
    guard bounds.contains(value) else { return fail("must be \(bounds.lowerBound) to \(bounds.upperBound)") }
    return value
  }

  func number(in bounds: ClosedRange<Double>) -> Double? {
    guard case .number(let text) = node.value else { return wrongType("a number") }
    guard let value = Double(text), bounds.contains(value) else {
      return fail("must be \(plain(bounds.lowerBound)) to \(plain(bounds.upperBound))")
    }
    return value
  }

  /// A fraction: more than 0, at most 1.
  func share() -> Double? {
    guard case .number(let text) = node.value else { return wrongType("a number") }
    guard let value = Double(text), value > 0, value <= 1 else {
      return fail("must be more than 0 and at most 1, such as 0.25")
    }
    return value
  }

  /// A number of seconds within `bounds` as whole milliseconds.
  func milliseconds(inSeconds bounds: ClosedRange<Double>) -> Int? {
    guard case .number = node.value else { return wrongType("a number of seconds") }
    guard let seconds = number(in: bounds) else { return nil }
    let milliseconds = (seconds * 1000).rounded()
    guard abs(milliseconds - seconds * 1000) < 1e-6 else { return fail("must have at most three decimal places") }
    return Int(milliseconds)
  }

  @_optimize(speed)
  func elements() -> [Field]? {
    guard case .array(let elements) = node.value else { return wrongType("a list") }
    var fields: [Field] = []
    fields.reserveCapacity(elements.count)
    for node in elements { fields.append(sibling(node)) }
    return fields
  }

  /// The members of an object whose keys are names chosen by the operator.
  func entries() -> [(name: String, field: Field)]? {
    guard case .object(let members) = node.value else { return wrongType("an object") }
    return members.map { member in (member.key, child(of: member)) }
  }

  /// The members of an object; records an error for each key that is not in `known`.
  func members(_ known: [String]) -> Members? {
    guard node.isObject else { return wrongType("an object") }
    var index = node.index + 1
    while let unknown = node.document.member(notNamed: known, of: node.index, from: index) {
      let member = JSONMember(node: JSONNode(document: node.document, index: unknown))
      record(.error, "unknown key\(suggestion(for: member.key, among: known))", member.node, line: member.line)
      index = Int(node.document.entries[unknown].next)
    }
    return Members(object: self)
  }

  func child(of member: JSONMember) -> Field { sibling(member.node) }

  /// Another value of the same file.
  func sibling(_ node: JSONNode) -> Field { Field(node: node, source: source) }

  /// Records an error and returns nil. Messages never show the value itself: it may be a secret.
  func fail<Value>(_ message: String) -> Value? {
    error(message)
    return nil
  }

  func wrongType<Value>(_ wanted: String) -> Value? {
    fail("must be \(wanted), not \(node.value.kind)")
  }

  private func record(_ severity: Finding.Severity, _ message: String) {
    record(severity, message, node, line: node.line)
  }

  private func record(
    _ severity: Finding.Severity, _ message: String, _ node: JSONNode, line: Int, isConflict: Bool = false
  ) {
    source.log.append(
      Finding(severity, file: file, line: line, keyPath: node.path, keyPattern: node.pattern, message: message),
      isConflict: isConflict)
  }

  private func plain(_ bound: Double) -> String {
    Int(exactly: bound).map(String.init) ?? "\(bound)"
  }
}

/// The members of one object, by key.
struct Members {
  let object: Field

  /// nil: the object does not have the key.
  subscript(key: String) -> Field? {
    let node = object.node
    guard let index = node.document.member(named: key, of: node.index) else { return nil }
    return object.sibling(JSONNode(document: node.document, index: index))
  }

  var isEmpty: Bool { Int(object.node.document.entries[object.node.index].next) == object.node.index + 1 }

  /// The member with this key; records an error if the object does not have it.
  func required(_ key: String) -> Field? {
    guard let field = self[key] else { return object.fail("\"\(key)\" is missing") }
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
