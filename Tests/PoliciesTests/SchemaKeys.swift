import Foundation
import Testing

/// The keys of a JSON Schema with what it says of each.
struct SchemaKeys {
  struct Key {
    let isRequired: Bool
    /// As JSON; nil: the schema states none.
    let standard: String?
    let unit: String?
  }

  private(set) var keys: [String: Key] = [:]
  /// Keys without subkeys.
  private(set) var leaves: Set<String> = []
  private let definitions: [String: [String: Any]]

  /// - Parameter entry: the definition to begin with, for files whose first keys are names; nil: the root.
  init(_ file: String, entry: String?) throws {
    let data = try Data(contentsOf: URL(filePath: SchemaTests.schema(file)))
    let root = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
    definitions = root["$defs"] as? [String: [String: Any]] ?? [:]
    read(try #require(entry.map { definitions[$0] } ?? root), below: "")
  }

  private mutating func read(_ schema: [String: Any], below path: String) {
    let required = schema["required"] as? [String] ?? []
    for (name, value) in schema["properties"] as? [String: [String: Any]] ?? [:] where name != "$schema" {
      let key = path + name
      keys[key] = Key(
        isRequired: required.contains(name), standard: value["default"].map(json), unit: value["x-unit"] as? String)
      let before = keys.count
      for variant in variants(value) {
        read(variant, below: key + ".")
        // Its members have names of the operator's choice.
        guard let entry = variant["additionalProperties"] as? [String: Any] else { continue }
        for variant in variants(entry) { read(variant, below: key + ".*.") }
      }
      if keys.count == before { leaves.insert(key) }
    }
  }

  /// What a value may be in its place: not where a key of a Core is, which is one value to a reader.
  private func variants(_ schema: [String: Any]) -> [[String: Any]] {
    var found = schema["anyOf"] as? [[String: Any]] ?? []
    if let items = schema["items"] as? [String: Any] { found.append(items) }
    if let reference = schema["$ref"] as? String, !reference.hasSuffix("/secret") {
      found += [definitions[String(reference.dropFirst("#/$defs/".count))] ?? [:]]
    }
    return [schema] + found.flatMap(variants)
  }

  private func json(_ value: Any) -> String {
    let options: JSONSerialization.WritingOptions = [.fragmentsAllowed, .withoutEscapingSlashes]
    let data = (try? JSONSerialization.data(withJSONObject: value, options: options)) ?? Data()
    return String(decoding: data, as: UTF8.self).replacing(",", with: ", ")
  }
}
