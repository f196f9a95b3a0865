/// Where each name is defined, so that two files of one folder cannot both define it.
struct DefinedNames {
  private enum Definition {
    case read(Field)
    /// In the last good content of a file, which is in force.
    case lastGood(file: String)
  }

  private var definitions: [String: Definition] = [:]
  /// In the order in which they were inserted.
  private var names: [String] = []

  var count: Int { names.count }

  /// Prepares for this many names more.
  mutating func reserve(_ more: Int) { definitions.reserveCapacity(definitions.count + more) }

  /// Inserts a name; records a conflict if another file defines it. Within a file it is a repeated key.
  mutating func insert(_ name: String, _ field: Field, of noun: String) {
    guard let known = definitions.updateValue(.read(field), forKey: name) else { return names.append(name) }
    definitions[name] = known
    switch known {
    case .read(let first):
      if first.file != field.file {
        field.conflict("this \(noun) is already defined in \(first.file):\(first.node.line); remove one of them")
      }
    case .lastGood(let file):
      field.conflict("this \(noun) is already defined in the last good content of \(file); repair that file")
    }
  }

  /// Inserts a name from a file whose last good content is in force.
  mutating func insertLastGood(_ name: String, of noun: String, file: String, log: FindingLog) {
    guard case .read(let first)? = definitions[name] else { return add(name, .lastGood(file: file)) }
    log.append(
      Finding(
        .error, file: file,
        message:
          "the last good content of this file defines the \(noun) \"\(name)\", and \(first.file):\(first.node.line) "
          + "now defines it, too; repair this file"), isConflict: true)
  }

  private mutating func add(_ name: String, _ definition: Definition) {
    definitions[name] = definition
    names.append(name)
  }

  /// Removes all but the first `count` names.
  mutating func truncate(to count: Int) {
    for name in names[count...] { definitions[name] = nil }
    names.removeSubrange(count...)
  }
}
