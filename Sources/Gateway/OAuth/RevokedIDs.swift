import FoundationEssentials
import OAuth
import Policies

/// The ids in the revocation files of all gateways, for commands; changes nothing.
///
/// - Parameters:
///   - folder: `oauth.revocations`.
///   - now: seconds since 1970; ids that may be forgotten by then are left out.
/// - Returns: nil if a file cannot be read, or the folder exists and cannot be.
func revokedIDs(in folder: String, now: Int64) -> Set<TokenID>? {
  guard FileManager.default.fileExists(atPath: folder) else { return [] }
  guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return nil }
  var ids: Set<TokenID> = []
  for name in names where name.hasSuffix(".json") && !name.hasPrefix(".") {
    guard let bytes = try? Data(contentsOf: URL(filePath: "\(folder)/\(name)")),
      let list = RevocationList(Array(bytes))
    else { return nil }
    for (id, expiry) in list.entries where expiry > now { ids.insert(id) }
  }
  return ids
}
