/// A setting in the files of a policy folder that another folder has differently.
///
/// Keys of Cores, and other secrets, are never in these files: they name only where a secret is.
package struct SettingChange: Sendable {
  /// Relative to the folder.
  package let file: String
  /// As findings name it: `instances.inst_main.timeouts.total_s`.
  package let key: String
  /// JSON texts; nil: the setting is absent. Of a list, the elements that only one of them has, unless only their order
  /// differs.
  package let before: String?
  package let after: String?
  /// Whether both are lists whose elements differ.
  package let isList: Bool

  /// Listed as tokens instead.
  private static let omitted: Set = ["tokens", "secrets"]

  /// What differs between two valid folders, in the order of the new files.
  package static func all(from old: PolicyFolder, to new: PolicyFolder) -> [SettingChange] {
    var changes: [SettingChange] = []
    let (before, after) = (FolderReading(old), FolderReading(new))
    for name in ["gateway.json", "routes.json", Revocations.fileName] {
      let (left, right) = (before.root(of: name, log: FindingLog()), after.root(of: name, log: FindingLog()))
      compare(left?.node, right?.node, name, "", omitting: [], &changes)
    }
    for list in ["instances", "clients"] {
      let (left, right) = (entries(of: list, before), entries(of: list, after))
      for name in right.names + left.names.filter({ right.nodes[$0] == nil }) {
        let (old, new) = (left.nodes[name], right.nodes[name])
        // Most are the same to the byte.
        if let old, let new, old.node.document.bytes[old.node.bytes] == new.node.document.bytes[new.node.bytes] {
          continue
        }
        compare(
          old?.node, new?.node, (new ?? old)?.file ?? "", "\(list).\(name)", omitting: list == "clients" ? omitted : [],
          &changes)
      }
    }
    return changes
  }

  private struct Entries {
    var names: [String] = []
    var nodes: [String: (file: String, node: JSONNode)] = [:]
  }

  private static func entries(of list: String, _ reading: FolderReading) -> Entries {
    var entries = Entries()
    for name in reading.fileNames(of: "\(list).json", log: FindingLog()) {
      guard case .object(let members)? = reading.root(of: name, log: FindingLog())?.node[list]?.node.value else {
        continue
      }
      for member in members {
        entries.names.append(member.key)
        entries.nodes[member.key] = (name, member.node)
      }
    }
    return entries
  }

  private static func compare(
    _ old: JSONNode?, _ new: JSONNode?, _ file: String, _ key: String, omitting: Set<String>,
    _ changes: inout [SettingChange]
  ) {
    switch (old?.value, new?.value) {
    case (.object(let before)?, .object(let after)?):
      let values = Dictionary(before.map { ($0.key, $0.node) }, uniquingKeysWith: { first, _ in first })
      var isKnown: Set<String> = ["$schema"]
      for member in after where !omitting.contains(member.key) && isKnown.insert(member.key).inserted {
        compare(values[member.key], member.node, file, path(key, member.key), omitting: omitting, &changes)
      }
      for member in before where !omitting.contains(member.key) && isKnown.insert(member.key).inserted {
        compare(member.node, nil, file, path(key, member.key), omitting: omitting, &changes)
      }
    case (.array(let before)?, .array(let after)?):
      let (before, after) = (before.map { text($0, omitting) }, after.map { text($0, omitting) })
      guard before != after else { return }
      let (removed, added) = (before.without(after), after.without(before))
      let isList = !removed.isEmpty || !added.isEmpty
      changes.append(
        SettingChange(
          file: file, key: key, before: (isList ? removed : before).joined(separator: ", "),
          after: (isList ? added : after).joined(separator: ", "), isList: isList))
    default:
      let (before, after) = (old.map { text($0, omitting) }, new.map { text($0, omitting) })
      guard before != after else { return }
      changes.append(SettingChange(file: file, key: key, before: before, after: after, isList: false))
    }
  }

  private static func path(_ key: String, _ name: String) -> String { key.isEmpty ? name : "\(key).\(name)" }

  /// The same for values that are equal, however their files are formatted.
  private static func text(_ node: JSONNode, _ omitted: Set<String>) -> String {
    switch node.value {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .number(let text): text
    case .string(let text): escapedJSONString(text)
    case .array(let elements): "[\(elements.map { text($0, omitted) }.joined(separator: ", "))]"
    case .object(let members):
      "{"
        + members.map { ($0.key, $0.node) }.filter { !omitted.contains($0.0) }.sorted { $0.0 < $1.0 }
        .map { "\(escapedJSONString($0.0)): \(text($0.1, omitted))" }.joined(separator: ", ") + "}"
    }
  }
}

extension [String] {
  /// The elements that another list does not have.
  fileprivate func without(_ other: [String]) -> [String] {
    let known = Set(other)
    return filter { !known.contains($0) }
  }
}
