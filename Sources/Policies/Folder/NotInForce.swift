/// Keys that are read and checked, but whose work is not in this version; who builds it deletes the line.
private let keysNotInForce = [
  // Without it a caller's PROXY header would be read as a request, or worse, his word on who he is.
  KeyNotInForce("gateway.json", "listen.proxy_protocol", .error),
  KeyNotInForce("gateway.json", "trusted_proxies"),
]

private struct KeyNotInForce {
  enum Condition { case isOn, isSeveral }

  let file: String
  /// `*` is any key; a list is looked through.
  let path: [Substring]
  /// An error where going on without it would be less safe than the operator thinks.
  let severity: Finding.Severity
  let condition: Condition

  init(_ file: String, _ path: String, _ severity: Finding.Severity = .warning, when condition: Condition = .isOn) {
    self.file = file
    self.path = path.split(separator: ".")
    self.severity = severity
    self.condition = condition
  }
}

extension Policy {
  /// What a folder, which is valid, asks for in vain: a finding for each key that is set and does not mean "off".
  package static func findingsOfKeysNotInForce(in reading: FolderReading) -> [Finding] {
    let log = FindingLog()
    for name in Set(keysNotInForce.map(\.file)).sorted() {
      // What is wrong with the file itself is said by `load`.
      for root in reading.roots(of: name, log: FindingLog()).compactMap(\.self) {
        let noting = Field(root: root.node, file: root.file, log: log)
        for key in keysNotInForce where key.file == name { note(key, key.path[...], noting) }
      }
    }
    return log.findings
  }

  private static func note(_ key: KeyNotInForce, _ path: ArraySlice<Substring>, _ field: Field) {
    guard let next = path.first else {
      guard field.node.fulfils(key.condition) else { return }
      let message = "not in force yet in this version"
      switch key.severity {
      case .note: field.remark(message)
      case .warning: field.warning(message)
      case .error: field.error("\(message); the gateway does not start with it")
      }
      return
    }
    switch field.node.value {
    case .array: for element in field.elements() ?? [] { note(key, path, element) }
    case .object(let members):
      for member in members where next == "*" || member.isNamed(next) {
        note(key, path.dropFirst(), field.child(of: member))
      }
    case .null, .bool, .number, .string: break
    }
  }
}

extension JSONNode {
  fileprivate func fulfils(_ condition: KeyNotInForce.Condition) -> Bool {
    switch condition {
    case .isOn: !isOff
    case .isSeveral: if case .array(let elements) = value { elements.dropFirst().contains { _ in true } } else { false }
    }
  }

  /// Asks for nothing: null, false, 0, or nothing else within.
  private var isOff: Bool {
    switch value {
    case .null: true
    case .bool(let value): !value
    case .number(let text): Double(text) == 0
    case .string: false
    case .array(let elements): elements.allSatisfy(\.isOff)
    case .object(let members): members.allSatisfy(\.node.isOff)
    }
  }
}
