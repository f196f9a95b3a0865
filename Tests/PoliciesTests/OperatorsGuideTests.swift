import Foundation
import Testing

@testable import Policies

/// `policies/README.md` says what the code does.
@Suite struct OperatorsGuideTests {
  private let guide: String

  init() throws { guide = try String(contentsOfFile: ShippedPolicyTests.folder + "/README.md", encoding: .utf8) }

  /// The JSON blocks of the section about a file.
  private func blocks(of file: String) -> [String] {
    section(file).components(separatedBy: "```json\n").dropFirst().compactMap {
      $0.components(separatedBy: "```").first
    }
  }

  private func section(_ file: String) -> String {
    guide.components(separatedBy: "\n## ").first { $0.hasPrefix("\(file)\n") } ?? ""
  }

  private struct Row {
    let key: String
    let standard: String
    let unit: String
    let text: String
  }

  /// Rows of the table that are about a file, without the quotes.
  private func rows(of file: String) -> [Row] {
    section("Every key").split(separator: "\n").filter { $0.hasPrefix("| \(file) |") }.map { line in
      let cells = line.dropFirst(2).dropLast(2).components(separatedBy: " | ").map { cell in
        cell.trimmingCharacters(in: [" "])
      }
      return Row(
        key: cells[1].trimmingCharacters(in: ["`"]), standard: cells[2].trimmingCharacters(in: ["`"]), unit: cells[3],
        text: cells[4...].joined(separator: " | "))
    }
  }

  @Test func `its blocks load, and what they state as defaults are the defaults`() throws {
    let names = ["gateway.json", "instances.json", "clients.json", "routes.json"]
    var files = FolderFiles()
    for name in names { files.files[name] = blocks(of: name).first ?? "missing" }
    files.environment = ["BLNK_MAIN_KEY": "secret"]
    let result = try files.load()
    let policy = try #require(result.policy, "\(result.findings)")
    #expect(result.findings.allSatisfy { $0.message.hasPrefix("no route requires this scope") }, "\(result.findings)")

    var limits = policy.settings.limits
    limits.statesConnections = false
    limits.statesUpstreamConnections = false
    #expect(limits == GatewayLimits() && policy.settings.timeouts == GatewayTimeouts())
    #expect(policy.settings.listeners == GatewaySettings().listeners && policy.settings.loops == 0)
    #expect(policy.settings.accessLog == .standardOutput)
    let instance = try #require(policy.instances.first)
    #expect(instance.limits == InstanceLimits() && instance.timeouts == InstanceTimeouts())
    #expect(instance.health == HealthSettings() && instance.breaker == BreakerSettings())
    #expect(instance.tls == TLSSettings() && instance.acceptsWrites)
    let client = try #require(policy.clients.first)
    #expect(client.defaultInstance == nil && !client.isRevoked && client.limits == ClientLimits())
  }

  @Test func `its recipes load`() throws {
    let recipes = section("Recipes").components(separatedBy: "```json\n").dropFirst().compactMap {
      $0.components(separatedBy: "```").first
    }
    var files: [String: String] = [:]
    for recipe in recipes {
      let root = try #require(JSONSerialization.jsonObject(with: Data(recipe.utf8)) as? [String: Any])
      let name = root["listen"] == nil ? "\(try #require(root.keys.first)).json" : "gateway.json"
      // The first recipe of each file with the others; each further one in its place.
      var changed = files
      changed[name] = recipe
      if files[name] == nil { files = changed }
      var folder = FolderFiles(changed.mapValues { $0 })
      folder.environment = [
        "BLNK_MAIN_KEY": "secret", "BLNK_TOKEN_KEY": String(repeating: "a", count: 32),
        "BLNK_NEXT_TOKEN_KEY": String(repeating: "b", count: 32),
      ]
      let result = try folder.load()
      // No client here has the token that a recipe revokes.
      let notes = result.findings.filter { $0.severity != .note }
      #expect(files.count < 2 || result.policy?.clients.isEmpty == false && notes.isEmpty, "\(recipe)\n\(notes)")
    }
    #expect(Set(files.keys) == ["instances.json", "clients.json", "revoked.json", "gateway.json"])
  }

  /// A key that takes effect must be removed from the guide's list, too.

  @Test func `it names every key of the blocks`() throws {
    for file in ["gateway.json", "instances.json", "clients.json"] {
      let block = try #require(blocks(of: file).first)
      let names = Set(block.matches(of: /"([a-z_0-9]+)":/).map { String($0.1) })
      let told = Set(rows(of: file).map(\.key).flatMap { $0.split(separator: ".").map(String.init) })
      let entries: Set<String> = ["instances", "clients", "inst_main", "shop", "env", "sha256", "expires", "note"]
      #expect(names.subtracting(entries).subtracting(told).isEmpty, "\(file)")
    }
  }

  @Test(arguments: [("gateway", nil), ("instances", "instance"), ("clients", "client"), ("routes", "route")])
  func `its table has every key of the schema with default and unit, and no other`(file: String, entry: String?) throws
  {
    let schema = try SchemaKeys(file, entry: entry)
    let rows = rows(of: "\(file).json")
    let told = Set(rows.map(\.key))
    #expect(told.count == rows.count && schema.leaves.isSubset(of: told), "\(schema.leaves.subtracting(told))")
    for row in rows {
      let key = try #require(schema.keys[row.key], "\(file): \(row.key)")
      #expect(row.unit == key.unit ?? "", "\(file): \(row.key)")
      #expect((row.standard == "required") == key.isRequired, "\(file): \(row.key)")
      if let standard = key.standard { #expect(row.standard == standard, "\(file): \(row.key)") }
    }
  }
}
