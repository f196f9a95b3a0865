extension [Finding] {
  /// Lines for display. Of many similar findings, only the first few are shown, and then how many more there are.
  package var lines: [String] {
    var groupIndices: [Kind: Int] = [:]
    var groups: [[Finding]] = []
    for finding in self {
      let group = groupIndices[Kind(finding), default: groups.count]
      if group == groups.count {
        groupIndices[Kind(finding)] = group
        groups.append([])
      }
      groups[group].append(finding)
    }
    let kept = groups.map { group in group.count > group[0].shownMax ? group[0].shownMax - 1 : group.count }
    var shown = groups.map { _ in 0 }
    var lines: [String] = []
    for finding in self {
      guard let group = groupIndices[Kind(finding)], shown[group] <= kept[group] else { continue }
      shown[group] += 1
      if shown[group] <= kept[group] {
        lines.append("\(finding)")
      } else {
        let rest = groups[group].dropFirst(kept[group])
        lines.append(finding.summary(of: rest))
      }
    }
    return lines
  }
}

/// What findings that are summarized together have in common.
private struct Kind: Hashable {
  let severity: Finding.Severity
  let keyPattern: String

  init(_ finding: Finding) {
    severity = finding.severity
    keyPattern = finding.keyPattern
  }
}

extension Finding {
  /// How many findings of one kind are shown; more errors than others, because each has to be repaired.
  fileprivate var shownMax: Int { severity == .error ? 21 : 4 }

  /// One line for the findings that are not shown; `self` is the first of them.
  fileprivate func summary(of rest: ArraySlice<Finding>) -> String {
    let files = Set(rest.map(\.file)).count
    let location = files == 1 ? file : "\(file) and \(files - 1) more file\(files == 2 ? "" : "s")"
    let label = severity == .error ? "" : "\(severity.rawValue): "
    return "\(location): \(label)\(keyPattern): \(rest.count) more of these (`blnk-gateway check --json` lists all)"
  }
}
