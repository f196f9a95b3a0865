extension [Finding] {
  /// Lines for people: where many entries have the same to say, the first few and how many more there are.
  package var lines: [String] {
    var places: [Kind: Int] = [:]
    var groups: [[Finding]] = []
    for finding in self {
      let place = places[Kind(finding), default: groups.count]
      if place == groups.count {
        places[Kind(finding)] = place
        groups.append([])
      }
      groups[place].append(finding)
    }
    let kept = groups.map { group in group.count > group[0].shownMax ? group[0].shownMax - 1 : group.count }
    var shown = groups.map { _ in 0 }
    var lines: [String] = []
    for finding in self {
      guard let place = places[Kind(finding)], shown[place] <= kept[place] else { continue }
      shown[place] += 1
      if shown[place] <= kept[place] {
        lines.append("\(finding)")
      } else {
        let rest = groups[place].dropFirst(kept[place])
        lines.append(finding.summary(of: rest))
      }
    }
    return lines
  }
}

/// What findings have in common that are told together.
private struct Kind: Hashable {
  let severity: Finding.Severity
  let keyPattern: String

  init(_ finding: Finding) {
    severity = finding.severity
    keyPattern = finding.keyPattern
  }
}

extension Finding {
  /// Errors are there to be repaired one by one; of the rest the kind matters.
  fileprivate var shownMax: Int { severity == .error ? 21 : 4 }

  /// One line for findings that are not shown; this one is the first of them.
  fileprivate func summary(of rest: ArraySlice<Finding>) -> String {
    let files = Set(rest.map(\.file)).count
    let place = files == 1 ? file : "\(file) and \(files - 1) more file\(files == 2 ? "" : "s")"
    let label = severity == .error ? "" : "\(severity.rawValue): "
    return "\(place): \(label)\(keyPattern): \(rest.count) more of these (`blnk-gateway check --json` lists all)"
  }
}
