import Digests
import FoundationEssentials
import Policies

/// The response of `/policy`: which files are in force.
package struct PolicyReport: Codable {
  package let generation: Int
  /// The digest that `blnk-gateway check` prints.
  package let sha256: String
  /// The SHA-256 of each file, by its name within the folder.
  package let files: [String: String]
  /// The faults of individual files and instances.
  package let faults: [String]
  /// Why the last reload was refused as a whole; nil if it was not.
  package let refusal: String?

  init(_ state: GatewayState) {
    let inForce = state.policyInForce
    generation = inForce.generation.number
    sha256 = inForce.generation.policy.digest
    files = Dictionary(
      inForce.generation.policy.files.compactMap { file in file.digest.map { (file.name, $0.hex) } },
      uniquingKeysWith: { first, _ in first })
    faults = inForce.faults
    refusal = inForce.failure?.message
  }

  var json: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(self) else { preconditionFailure("strings and numbers can be encoded") }
    return Array(data) + [0x0a]
  }
}
