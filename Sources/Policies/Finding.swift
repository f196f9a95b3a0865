/// A problem or a possible problem in the policy files.
package struct Finding: Hashable, Sendable {
  /// An error prevents loading the policy, or the part that it concerns; a warning does not. A note is informational:
  /// it does not fail `check --strict`.
  package enum Severity: String, Hashable, Sendable { case error, warning, note }

  package let severity: Severity
  /// Whether the error concerns one file or instance only: its last good content stays in force, or it is left out.
  package internal(set) var isContained = false
  /// The file's path, in the folder as the operator named it: `policies/clients.json`.
  package let file: String
  /// From 1; nil when the finding is about the file as a whole.
  package let line: Int?
  /// For example `clients.demo-app.tokens[0].sha256`; empty when the finding is about the file as a whole.
  package let keyPath: String
  /// The key path without names and indices, the same for all entries: `clients.*.tokens[].sha256`.
  let keyPattern: String
  package let message: String

  /// - Parameter keyPattern: nil: the path itself.
  package init(
    _ severity: Severity, file: String, line: Int? = nil, keyPath: String = "", keyPattern: String? = nil,
    message: String
  ) {
    self.severity = severity
    self.file = file
    self.line = line
    self.keyPath = keyPath
    self.keyPattern = keyPattern ?? keyPath
    self.message = message
  }
}

extension Finding {
  /// Whether the finding prevents loading the whole policy.
  package var preventsLoading: Bool { severity == .error && !isContained }
}

extension Finding: CustomStringConvertible {
  /// One line: `policies/clients.json:12: clients.demo-app.scope: unknown key (did you mean "scopes"?)`.
  package var description: String {
    let location = line.map { line in "\(file):\(line)" } ?? file
    let label = severity == .error ? "" : "\(severity.rawValue): "
    let subject = keyPath.isEmpty ? "" : "\(keyPath): "
    return oneLine("\(location): \(label)\(subject)\(message)")
  }
}

/// Escapes control characters: names come from files and could break the line or control a terminal.
package func oneLine(_ text: String) -> String {
  guard text.unicodeScalars.contains(where: \.isControl) else { return text }
  return text.unicodeScalars.reduce(into: "") { line, scalar in
    line += scalar.isControl ? scalar.escaped(asASCII: true) : String(scalar)
  }
}

extension UnicodeScalar {
  /// Unicode's general category Cc, which never changes.
  var isControl: Bool { value < 0x20 || (0x7f..<0xa0).contains(value) }
}

/// Collects findings while files are read, so that an operator sees all of them at once.
final class FindingLog {
  private(set) var findings: [Finding] = []
  /// Whether the policy cannot be loaded.
  private(set) var preventsLoading = false
  private var isContaining = false
  private var containedCount = 0

  /// - Parameter isConflict: two files contradict each other, and either may be right: the error is never contained.
  func append(_ finding: Finding, isConflict: Bool = false) {
    var finding = finding
    if finding.severity == .error {
      finding.isContained = isContaining && !isConflict
      if finding.isContained { containedCount += 1 } else { preventsLoading = true }
    }
    findings.append(finding)
  }

  /// Runs `body` and contains its errors: they do not prevent loading the policy.
  ///
  /// - Parameter isOn: false: the errors are not contained, unless an outer call contains them.
  /// - Returns: the result of `body`, and its first contained error.
  func contain<Result>(if isOn: Bool = true, _ body: () -> Result) -> (result: Result, fault: Finding?) {
    let (before, outer) = (findings.count, isContaining)
    isContaining = isOn || outer
    defer { isContaining = outer }
    let count = containedCount
    let result = body()
    guard containedCount > count else { return (result, nil) }
    return (result, findings[before...].first(where: \.isContained))
  }
}
