/// Where each name was first given, so that two files of one folder cannot both define it.
struct EntryPlaces {
  private var places: [String: Field] = [:]

  /// Notes an error with both places when another file has the name already; within a file it is a repeated key.
  mutating func note(_ name: String, _ field: Field, of noun: String) {
    guard let first = places[name] else {
      places[name] = field
      return
    }
    guard first.file != field.file else { return }
    field.error("the same \(noun) as in \(first.file):\(first.node.line)")
  }
}
