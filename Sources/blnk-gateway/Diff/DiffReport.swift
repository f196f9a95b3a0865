import Policies

/// The result of `diff`, as sentences and as JSON.
struct DiffReport {
  let diff: PolicyDiff
  let settings: [SettingChange]
  let digests: (old: String, new: String)

  private static let sentencesMax = 50

  func print() throws(CommandFault) {
    let gains = diff.access.flatMap { change in change.parts.compactMap { sentence(change, $0, isGain: true) } }
    let losses = diff.access.flatMap { change in change.parts.compactMap { sentence(change, $0, isGain: false) } }
    try print(gains + diff.wider.map { "\($0)." } + losses, titled: "Access")
    try print(
      diff.tokens.map { change in
        let note = change.note.map { " (\($0))" } ?? ""
        return "\(change.client)'s \(change.credential) \(change.digest)\(note) \(change.text)."
      }, titled: "Tokens")
    try print(settings.map(\.sentence), titled: "Settings")
    if !diff.isComplete { try Console.print("The routes overlap too much to compare all paths.") }
    try Console.print(diff.givesAccess ? "A client gains access." : "No client gains access.")
  }

  private func print(_ sentences: [String], titled title: String) throws(CommandFault) {
    guard !sentences.isEmpty else { return }
    try Console.print("\(title):")
    for sentence in sentences.prefix(Self.sentencesMax) { try Console.print("  \(oneLine(sentence))") }
    let rest = sentences.count - Self.sentencesMax
    if rest > 0 { try Console.print("  … and \(rest) more; --json lists all") }
  }

  // MARK: Sentences

  /// nil: there is no such change.
  private func sentence(_ change: PolicyDiff.AccessChange, _ part: PolicyDiff.Part, isGain: Bool) -> String? {
    let cells = isGain ? part.gained : part.lost
    guard !cells.isEmpty else { return nil }
    let names = change.subjects.map { subject in subject.isNew ? "\(subject.client) (new)" : subject.client }
    let verb = isGain ? "gain" : "lose"
    let instances = part.instances.map { diff.instances[Int($0)] }
    let isOfAll = instances.count == diff.instances.count && instances.count > 3
    let place = isOfAll ? "all \(instances.count) instances" : listed(instances, atMost: 5)
    let credentials = change.subjects.count == 1 ? " (\(listed(change.subjects[0].credentials, atMost: 3)))" : ""
    return "\(listed(names, atMost: 5)) \(verb)\(names.count == 1 ? "s" : "") \(routes(cells, isGain: isGain)) on "
      + "\(place)\(credentials)."
  }

  /// All routes of some scopes, or the methods of each path.
  private func routes(_ cells: [Int32], isGain: Bool) -> String {
    func scope(_ cell: PolicyDiff.Cell) -> String? { isGain ? cell.newScope : cell.oldScope }
    let changed = cells.map { diff.cells[Int($0)] }
    let scopes = Set(changed.compactMap(scope))
    let count = diff.cells.count { cell in scope(cell).map(scopes.contains) ?? false }
    if count == cells.count, count > 3 { return "all \(count) routes of \(listed(scopes.sorted(), atMost: 3))" }
    var patterns: [String] = []
    var methods: [String: [String]] = [:]
    for cell in changed {
      if methods[cell.pattern] == nil { patterns.append(cell.pattern) }
      methods[cell.pattern, default: []].append(cell.method)
    }
    let routes = patterns.map { pattern in "\(listed(methods[pattern] ?? [], atMost: 5)) \(pattern)" }
    return listed(routes, atMost: 6, separator: routes.contains { $0.contains(" and ") } ? "; " : ", ")
  }

  /// `a, b and c`, or `a, b and 7 more`.
  private func listed(_ texts: [String], atMost count: Int, separator: String = ", ") -> String {
    guard texts.count > 1 else { return texts.first ?? "" }
    guard texts.count <= count else {
      return texts.prefix(count - 1).joined(separator: separator) + " and \(texts.count - count + 1) more"
    }
    return texts.dropLast().joined(separator: separator) + " and " + texts[texts.count - 1]
  }

  // MARK: JSON

  func printJSON() throws(CommandFault) {
    let old = escapedJSONString(digests.old)
    try Console.print(
      "{\"gives_access\":\(diff.givesAccess),\"complete\":\(diff.isComplete),\"old\":\(old),"
        + "\"new\":\(escapedJSONString(digests.new)),\"wider\":\(JSONText.strings(diff.wider)),\"access\":[")
    try printList(diff.access.count) { json(diff.access[$0]) }
    try Console.print("],\"tokens\":[")
    try printList(diff.tokens.count) { json(diff.tokens[$0]) }
    try Console.print("],\"settings\":[")
    try printList(settings.count) { json(settings[$0]) }
    try Console.print("]}")
  }

  /// One element on each line: there can be very many.
  private func printList(_ count: Int, _ element: (Int) -> String) throws(CommandFault) {
    for index in 0..<count { try Console.print(element(index) + (index + 1 < count ? "," : "")) }
  }

  private func json(_ change: PolicyDiff.AccessChange) -> String {
    let clients = change.subjects.map { subject in
      JSONText.object([
        "client": escapedJSONString(subject.client), "new": "\(subject.isNew)",
        "credentials": JSONText.strings(subject.credentials),
      ])
    }
    return JSONText.object([
      "clients": JSONText.list(clients), "gains": areas(change, isGain: true), "loses": areas(change, isGain: false),
    ])
  }

  private func areas(_ change: PolicyDiff.AccessChange, isGain: Bool) -> String {
    JSONText.list(
      change.parts.compactMap { part in
        let cells = isGain ? part.gained : part.lost
        guard !cells.isEmpty else { return nil }
        return JSONText.object([
          "routes": JSONText.strings(cells.map { "\(diff.cells[Int($0)].method) \(diff.cells[Int($0)].pattern)" }),
          "instances": JSONText.strings(part.instances.map { diff.instances[Int($0)] }),
        ])
      })
  }

  private func json(_ change: PolicyDiff.TokenChange) -> String {
    JSONText.object([
      "change": escapedJSONString(change.kind.rawValue), "client": escapedJSONString(change.client),
      "credential": escapedJSONString(change.credential), "digest": escapedJSONString(change.digest),
      "note": change.note.map(escapedJSONString), "text": escapedJSONString(change.text),
    ])
  }

  /// `before` and `after` are JSON texts themselves, in strings.
  private func json(_ change: SettingChange) -> String {
    JSONText.object([
      "file": escapedJSONString(change.file), "key": escapedJSONString(change.key),
      "before": change.before.map(escapedJSONString),
      "after": change.after.map(escapedJSONString), "list": "\(change.isList)",
    ])
  }
}

extension SettingChange {
  private static let charactersMax = 300

  fileprivate var sentence: String {
    let (before, after) = (before.map(shortened), after.map(shortened))
    switch (before, after) {
    case (let before?, let after?) where isList:
      let parts = [(after, "adds"), (before, "removes")].filter { !$0.0.isEmpty }.map { "\($0.1) \($0.0)" }
      return "\(file): \(key) \(parts.joined(separator: ", "))"
    case (let before?, let after?): return "\(file): \(key) is \(after), was \(before)"
    case (nil, let after?): return "\(file): \(key) is set to \(after)"
    case (let before?, nil): return "\(file): \(key) is removed, was \(before)"
    case (nil, nil): return "\(file): \(key)"
    }
  }

  private func shortened(_ text: String) -> String {
    text.count > Self.charactersMax ? "\(text.prefix(Self.charactersMax))…" : text
  }
}
