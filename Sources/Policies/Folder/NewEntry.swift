/// An entry of `instances.json` or `clients.json` that is not in any file yet.
package struct NewEntry {
  /// JSON texts.
  enum Value {
    case single(String)
    case list(of: String)
  }

  /// The key of the object that contains such entries, and the name of their folder: `instances` or `clients`.
  let list: String
  package let id: String
  let members: [(key: String, value: Value)]

  /// - Parameter url: an `InstanceURL`.
  package static func instance(_ id: InstanceID, url: String, key: KeyReference) -> NewEntry {
    NewEntry(list: "instances", id: id.text, members: [("url", .single(jsonString(url))), ("key", .single(key.json))])
  }

  /// - Parameters:
  ///   - scopes: of the route table, or `*` alone.
  ///   - instances: names, or `*` alone.
  ///   - token: its first token; nil: it has none yet.
  package static func client(
    _ id: ClientID, scopes: [String], instances: [String], defaultInstance: InstanceID?, token: NewToken?
  ) -> NewEntry {
    var members: [(key: String, value: Value)] = [
      ("scopes", .single(jsonList(scopes))), ("instances", .single(jsonList(instances))),
    ]
    if let defaultInstance { members.append(("default_instance", .single(jsonString(defaultInstance.text)))) }
    if let token { members.append(("tokens", .list(of: token.entry))) }
    return NewEntry(list: "clients", id: id.text, members: members)
  }

  /// Its key path in its file, as findings show it.
  package var keyPath: String { "\(list).\(id)" }

  /// A file that contains this entry only.
  package var file: [UInt8] {
    let entry = member(after: "\n    ", step: "  ")
    return Array("{\n  \"\(list)\": {\n    \(entry)\n  }\n}\n".utf8)
  }

  /// Its key and value.
  ///
  /// - Parameters:
  ///   - gap: the whitespace before it; if nil, it stays on one line.
  ///   - step: one level of indentation.
  func member(after gap: String?, step: String) -> String {
    let (inner, end) = gap.map { gap in (gap + step, gap) } ?? (" ", " ")
    let members = members.map { member in
      let value =
        switch member.value {
        case .single(let text): text
        case .list(let element): gap == nil ? "[\(element)]" : "[\(inner)\(step)\(element)\(inner)]"
        }
      return "\"\(member.key)\": \(value)"
    }
    return "\(jsonString(id)): {\(inner)\(members.joined(separator: ",\(inner)"))\(end)}"
  }
}

private func jsonList(_ texts: [String]) -> String { "[\(texts.map(jsonString).joined(separator: ", "))]" }

extension NewEntry {
  /// Why the entry cannot be added to a folder.
  package struct Fault: Error {
    package let message: String
  }

  /// Adds the entry: in its own file if its folder, such as `clients/`, has files, otherwise in `clients.json`.
  package func edit(in folder: PolicyFolder) throws(Fault) -> FileEdit {
    let (reading, log) = (FolderReading(folder), FindingLog())
    let hasFolder = reading.fileNames(of: "\(list).json", log: log).contains { name in name.hasPrefix("\(list)/") }
    guard hasFolder else { return try appending(to: "\(folder.path)/\(list).json", reading, log) }
    let path = "\(folder.path)/\(list)/\(id).json"
    guard !pathExists(path) else {
      throw Fault(message: "\(path) already exists and does not define \(keyPath); move or remove that file")
    }
    return FileEdit(file: path, before: nil, after: file)
  }

  private func appending(to path: String, _ reading: FolderReading, _ log: FindingLog) throws(Fault) -> FileEdit {
    guard let root = reading.root(of: "\(list).json", log: log), let parent = root.node[list],
      case .object = parent.node.value
    else { throw Fault(message: "\(path) has no \"\(list)\": {…}; run `blnk-gateway check`") }
    let text = root.node.document.bytes
    var splices = JSONSplices(text)
    splices.append(self, to: parent)
    return FileEdit(file: path, before: text, after: splices.result)
  }
}
