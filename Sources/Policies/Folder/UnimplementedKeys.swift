/// Keys that are validated but not implemented in this version. To implement one, delete its line.
private let unimplementedKeys = [
  // A caller's PROXY header would be parsed as a request or, worse, its claim about its address believed.
  UnimplementedKey("gateway.json", "listen.proxy_protocol", .error),
  UnimplementedKey("gateway.json", "trusted_proxies"),
]

private struct UnimplementedKey {
  enum Condition { case isOn, isSeveral }

  let file: String
  /// `*` matches any key; lists are searched.
  let path: [Substring]
  /// An error if the gateway without it would be less secure than the operator expects.
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
  /// A finding for each unimplemented key that a valid folder sets to a value other than "off".
  package static func unimplementedKeyFindings(in reading: FolderReading) -> [Finding] {
    let log = FindingLog()
    for name in Set(unimplementedKeys.map(\.file)).sorted() {
      // `load` reports what is wrong with the file itself.
      for root in reading.roots(of: name, log: FindingLog()).compactMap(\.self) {
        let field = Field(root: root.node, file: root.file, log: log)
        for key in unimplementedKeys where key.file == name { report(key, key.path[...], field) }
      }
    }
    return log.findings
  }

  private static func report(_ key: UnimplementedKey, _ path: ArraySlice<Substring>, _ field: Field) {
    guard let next = path.first else {
      guard field.node.meets(key.condition) else { return }
      switch key.severity {
      case .note: field.note("not implemented in this version; has no effect")
      case .warning: field.warning("not implemented in this version; has no effect")
      case .error: field.error("not implemented in this version; remove it: the gateway does not start with it")
      }
      return
    }
    switch field.node.value {
    case .array: for element in field.elements() ?? [] { report(key, path, element) }
    case .object(let members):
      for member in members where next == "*" || member.isNamed(next) {
        report(key, path.dropFirst(), field.child(of: member))
      }
    case .null, .bool, .number, .string: break
    }
  }
}

extension JSONNode {
  fileprivate func meets(_ condition: UnimplementedKey.Condition) -> Bool {
    switch condition {
    case .isOn: !isOff
    case .isSeveral: if case .array(let elements) = value { elements.dropFirst().contains { _ in true } } else { false }
    }
  }

  /// Whether the value is null, false or 0, or contains nothing else.
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
