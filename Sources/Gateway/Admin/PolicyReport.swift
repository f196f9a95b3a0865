import Digests
import FoundationEssentials
import Policies

/// The answer to `/policy`: which files are in force, for who has changed one and wants to know.
package struct PolicyReport: Codable {
  package let generation: Int
  /// As `blnk-gateway check` prints it.
  package let sha256: String
  /// By their names within the folder, the SHA-256 of their bytes.
  package let files: [String: String]
  /// What is wrong with single files and instances.
  package let faults: [String]
  /// Why the last reading as a whole was not put into force.
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
    guard let data = try? encoder.encode(self) else { preconditionFailure("a report of texts and numbers") }
    return Array(data) + [0x0a]
  }
}
