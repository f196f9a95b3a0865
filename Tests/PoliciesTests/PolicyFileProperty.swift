import Foundation

@testable import Policies

/// What holds for any policy file at all.
enum PolicyFileProperty {
  struct Broken: Error {
    let what: String
  }

  /// The first byte chooses the file; the rest is rejected with a reason, or read as Foundation reads it.
  static func check(_ bytes: [UInt8]) throws {
    guard let choice = bytes.first else { return }
    let content = Array(bytes.dropFirst())
    let (root, faults) = JSONReader.read(content)
    guard let root else {
      if faults.isEmpty { throw Broken(what: "rejected without a reason") }
      return
    }
    guard isJSON(content) else { throw Broken(what: "taken, but no JSON") }
    let log = FindingLog()
    decode(choice, Field(root: root, file: "file", log: log))
    _ = log.findings.lines
    for finding in log.findings where finding.message.isEmpty { throw Broken(what: "a finding without a message") }
  }

  /// Foundation rejects a number beyond a Double's range, which RFC 8259 §6 leaves to each reader: the grammar has it, and
  /// here it is the bounds of its key that reject it.
  private static func isJSON(_ content: [UInt8]) -> Bool {
    do {
      _ = try JSONSerialization.jsonObject(with: Data(content), options: .fragmentsAllowed)
      return true
    } catch {
      let reason = (error as NSError).userInfo["NSDebugDescription"] as? String
      return reason?.hasSuffix("is not representable in Swift.") ?? false
    }
  }

  private static func decode(_ choice: UInt8, _ root: Field) {
    let reading = FolderReading(PolicyFolder(path: "/nonexistent", environment: ["KEY": "key"]))
    switch choice {
    case UInt8(ascii: "g"): _ = GatewayFile(reading: reading, stateFolder: "/nonexistent").settings(root)
    case UInt8(ascii: "i"):
      var file = InstancesFile(reading: reading)
      file.read(root)
    case UInt8(ascii: "r"): _ = RoutesFile(idempotency: nil).routes(root)
    default:
      var file = ClientsFile(
        instances: [], declared: nil, scopes: [.read], directory: ScopeDirectory(scopes: [.read], aliases: []),
        revocations: Revocations(), now: UnixSeconds(0))
      file.read(root)
    }
  }
}
