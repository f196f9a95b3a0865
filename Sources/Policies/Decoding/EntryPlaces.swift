/// Where each name was first given, so that two files of one folder cannot both define it.
struct EntryPlaces {
  private enum Place {
    case read(Field)
    /// In a file whose last good content is in force.
    case kept(file: String)
  }

  private var places: [String: Place] = [:]
  /// In the order in which they were noted.
  private var names: [String] = []

  var count: Int { names.count }

  /// Notes an error with both places when another file has the name already; within a file it is a repeated key.
  mutating func note(_ name: String, _ field: Field, of noun: String) {
    switch places[name] {
    case nil: add(name, .read(field))
    case .read(let first):
      if first.file != field.file { field.clash("the same \(noun) as in \(first.file):\(first.node.line)") }
    case .kept(let file):
      field.clash("the same \(noun) as in \(file), of which the last good content is in force; repair that file")
    }
  }

  /// Notes a name of a file whose last good content is in force.
  mutating func keep(_ name: String, of noun: String, file: String, log: FindingLog) {
    guard case .read(let first)? = places[name] else { return add(name, .kept(file: file)) }
    log.append(
      Finding(
        .error, file: file,
        message: "of its last good content, the \(noun) \"\(name)\" is now in \(first.file):\(first.node.line), too; "
          + "repair the file"), isClash: true)
  }

  private mutating func add(_ name: String, _ place: Place) {
    places[name] = place
    names.append(name)
  }

  /// Forgets all but the first `count`.
  mutating func truncate(to count: Int) {
    for name in names[count...] { places[name] = nil }
    names.removeSubrange(count...)
  }
}
