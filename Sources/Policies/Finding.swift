/// One thing that is wrong, or looks wrong, in the policy files.
package struct Finding: Hashable, Sendable {
  /// An error keeps the policy from being loaded; a warning does not. A note is no fault: it names what an operator
  /// should have meant.
  package enum Severity: String, Hashable, Sendable { case error, warning, note }

  package let severity: Severity
  /// The file as the operator named its folder, such as `policies/clients.json`.
  package let file: String
  /// From 1; nil when the finding is about the file as a whole.
  package let line: Int?
  /// Such as `clients.demo-app.tokens[0].sha256`; empty when the finding is about the file as a whole.
  package let keyPath: String
  /// The same for all entries of a file, such as `clients.*.tokens[].sha256`.
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

extension Finding: CustomStringConvertible {
  /// One line: `policies/clients.json:12: clients.demo-app.scope: unknown key (did you mean "scopes"?)`.
  package var description: String {
    let place = line.map { line in "\(file):\(line)" } ?? file
    let label = severity == .error ? "" : "\(severity.rawValue): "
    let subject = keyPath.isEmpty ? "" : "\(keyPath): "
    return oneLine("\(place): \(label)\(subject)\(message)")
  }

  /// Names come from files, and could end the line or steer a terminal.
  private func oneLine(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: \.isControl) else { return text }
    return text.unicodeScalars.reduce(into: "") { line, scalar in
      line += scalar.isControl ? scalar.escaped(asASCII: true) : String(scalar)
    }
  }
}

extension UnicodeScalar {
  /// Unicode's category Cc, which will never have others.
  var isControl: Bool { value < 0x20 || (0x7f..<0xa0).contains(value) }
}

/// Collects findings while files are read, so that an operator sees all of them at once.
final class FindingLog {
  private(set) var findings: [Finding] = []

  private(set) var hasErrors = false

  func append(_ finding: Finding) {
    if finding.severity == .error { hasErrors = true }
    findings.append(finding)
  }
}
