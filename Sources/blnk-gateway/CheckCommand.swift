import Policies

extension Command {
  static let check = Command(
    name: "check", summary: "validate a policy folder", usage: "[OPTIONS]",
    description: """
      Reads the folder exactly as "serve" does, including key and TLS files, but
      starts nothing.

      Prints one finding per line: file, line, key and what is wrong. A finding is an
      error, a warning or a note. The last line counts clients, instances and routes,
      and has the SHA-256 that /status shows once this policy is in force.
      """,
    options: [
      .policies, .state, .withoutKeys,
      Option(name: "--strict", value: nil, help: "fail if there are warnings, too"),
      Option(name: "--json", value: nil, help: "print a JSON object instead of lines"),
    ],
    exitCodes: [0: "no errors (with --strict: and no warnings)", 1: "errors (with --strict: or warnings)"],
    example: """
      blnk-gateway check --policies policies
      blnk-gateway check --strict && systemctl restart blnk-gateway
      blnk-gateway check --strict --without-keys    # in CI, where there are no keys
      """
  ) { arguments throws(CommandFault) in
    let folder = try PolicyFolder(arguments)
    let result = folder.load()
    if arguments.isSet("--json") {
      try Console.print(json(result))
    } else {
      for line in result.findings.lines { try Console.print(line) }
      try Console.print("\(folder.path): \(summary(result))")
    }
    let isWarned = result.findings.contains { finding in finding.severity == .warning }
    let isFaulty = result.findings.contains { finding in finding.severity == .error }
    return isFaulty || arguments.isSet("--strict") && isWarned ? 1 : 0
  }

  private static func summary(_ result: LoadResult) -> String {
    let warnings = result.findings.count { $0.severity == .warning }
    let errors = result.findings.count { $0.severity == .error }
    let tail = warnings == 0 ? "" : ", \(counted(warnings, "warning"))"
    guard let policy = result.policy else { return counted(errors, "error") + tail }
    let faulty = errors == 0 ? "" : "\(counted(errors, "error")) in individual files or instances; "
    return faulty + "\(counted(policy.clients.count, "client")), \(counted(policy.instances.count, "instance")), "
      + counted(policy.routes.routes.count, "route") + tail + "; sha256 \(policy.digest)"
  }

  private static func json(_ result: LoadResult) -> String {
    let report = Report(
      ok: !result.findings.contains { $0.severity == .error }, sha256: result.policy?.digest,
      findings: result.findings.map { finding in
        Report.Entry(
          severity: finding.severity.rawValue, file: finding.file, line: finding.line,
          keyPath: finding.keyPath, message: finding.message)
      },
      clients: result.policy?.clients.count, instances: result.policy?.instances.count,
      routes: result.policy?.routes.routes.count)
    return Console.json(report)
  }

  private struct Report: Encodable {
    struct Entry: Encodable {
      let severity: String
      let file: String
      let line: Int?
      let keyPath: String
      let message: String
    }

    let ok: Bool
    /// The policy's digest, as in `/status`.
    let sha256: String?
    let findings: [Entry]
    let clients: Int?
    let instances: Int?
    let routes: Int?
  }
}
