/// One thing that is wrong, or looks wrong, in the policy files.
package struct Finding: Hashable, Sendable {
  /// An error keeps the policy, or the part that it concerns, from being loaded; a warning does not. A note is no fault: it names what an operator
  /// should have meant.
  package enum Severity: String, Hashable, Sendable { case error, warning, note }

  package let severity: Severity
  /// An error of one file or instance, for which something else stands in: what was in force before, or nothing.
  package internal(set) var isContained = false
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

extension Finding {
  /// Whether it keeps the whole policy from being loaded.
  package var isRefusal: Bool { severity == .error && !isContained }
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
  /// Whether the policy cannot be loaded.
  private(set) var isRefused = false
  private var isContaining = false
  private var containedCount = 0

  /// - Parameter isClash: of two files, of which nobody can say which is right: it refuses the whole in any case.
  func append(_ finding: Finding, isClash: Bool = false) {
    var finding = finding
    if finding.severity == .error {
      finding.isContained = isContaining && !isClash
      if finding.isContained { containedCount += 1 } else { isRefused = true }
    }
    findings.append(finding)
  }

  /// Reads something that must not refuse the whole.
  ///
  /// - Parameter isOn: false: errors refuse the whole, as elsewhere.
  /// - Returns: what came of it, and its first error.
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
