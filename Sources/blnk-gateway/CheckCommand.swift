import Policies

extension Command {
  static let check = Command(
    name: "check", abstract: "says whether a policy folder is valid",
    lesson: """
      Reads what "serve" would read, key files included, and starts nothing. Findings come one a line: file, line, key and
      what is wrong. Errors keep the gateway from starting; warnings do not, and notes name what is open on purpose.
      Exit code 1 with an error, or with --strict with a warning, else 0. With --without-keys it looks at no key and no
      file of TLS, where a machine such as that of a CI has none; a note says how many.

        blnk-gateway check --policies policies
        blnk-gateway check --strict --without-keys
        blnk-gateway check --strict && systemctl restart blnk-gateway
        blnk-gateway check --json | python3 -m json.tool
      """,
    flags: [
      .policies, .state, .withoutKeys, Flag(name: "--strict", value: nil, about: "exit code 1 with a warning, too"),
      Flag(name: "--json", value: nil, about: "one JSON object instead of lines"),
    ]
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
    let faulty = errors == 0 ? "" : "\(counted(errors, "error")) of single files or instances; "
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
    /// As `/status` shows it, once this is in force.
    let sha256: String?
    let findings: [Entry]
    let clients: Int?
    let instances: Int?
    let routes: Int?
  }
}
