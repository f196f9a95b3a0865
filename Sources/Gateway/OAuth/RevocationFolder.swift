import FoundationEssentials
import OAuth
import Policies
import System

/// The folder in which gateways share what they have revoked, and which codes were used: `oauth.revocations`.
///
/// Each process writes its own file, and reads those of all others. A file in `codes` for each used code makes its
/// use exclusive: creating it fails for everyone but the first.
struct RevocationFolder: Sendable {
  private let folder: SharedFolder
  private let lists: RevocationLists
  private let codes: SharedFolder
  private let ownName: String

  /// Creates what is missing.
  init(_ path: String) throws(RevocationFault) {
    do throws(Errno) {
      codes = try SharedFolder(path + "/codes")
      folder = try SharedFolder(path)
    } catch {
      throw RevocationFault(description: "cannot use \(path): \(error)")
    }
    lists = RevocationLists(path)
    var generator = SystemRandomNumberGenerator()
    let unique = TokenID(using: &generator).hex.prefix(8)
    ownName = "\(ProcessInfo.processInfo.hostName.filter { $0.isLetter || $0.isNumber || $0 == "-" })-\(unique).json"
  }

  /// What other processes have revoked, without what has expired, according to the files that are new or have changed.
  ///
  /// - Parameters:
  ///   - seen: the files that were read before.
  ///   - report: gets a line for each file that cannot be read.
  func read(now: Int64, seen: inout [String: FileStatus], report: (String) -> Void) -> [TokenID: Int64] {
    var all: [TokenID: Int64] = [:]
    guard let names = lists.names else {
      report("oauth.revocations: cannot list \(lists.path); what was revoked before stays revoked")
      return all
    }
    for name in names where name != ownName {
      do throws(RevocationFault) {
        let status = try lists.status(name)
        guard seen[name] != status else { continue }
        // Also a damaged file is reported once, and not read until it changes.
        seen[name] = status
        for (id, expiry) in try lists.read(name, status) where expiry > now { all[id] = max(expiry, all[id] ?? 0) }
      } catch {
        report("oauth.revocations: \(error)")
      }
    }
    let present = Set(names)
    seen = seen.filter { present.contains($0.key) }
    return all
  }

  /// Removes the files of processes that have ended, once all their entries have expired, and the marks of codes that
  /// have expired long ago.
  func removeOld(now: Int64) {
    for name in lists.names ?? [] where name != ownName {
      // Faults are reported by `read`.
      guard let entries = try? lists.read(name, lists.status(name)), !entries.isEmpty else { continue }
      if entries.allSatisfy({ $0.value + Self.keptSeconds < now }) { folder.remove(name) }
    }
    for name in namesOfFiles(in: codes.path) ?? [] where TokenID(hex: name) != nil {
      guard let status = try? FileStatus(path: codes.path(of: name)) else { continue }
      if status.modifiedAt + Self.keptSeconds < now { codes.remove(name) }
    }
  }

  /// How long a file with expired entries only is kept, in case another gateway's clock is late.
  private static let keptSeconds: Int64 = 3_600

  /// Writes this process's own revocations, durably.
  func write(_ entries: [TokenID: Int64]) throws(RevocationFault) {
    let file = folder.path(of: ownName)
    do throws(Errno) {
      try FileReplacement(file, newMode: 0o600).write(RevocationList(entries: entries).json)
    } catch {
      throw RevocationFault(description: "cannot write \(file): \(error)")
    }
  }

  /// Marks a code as used, durably; false: it was used before, here or at another gateway.
  func redeem(_ code: TokenID) throws(RevocationFault) -> Bool {
    do throws(Errno) {
      return try codes.create(code.hex)
    } catch {
      // The client gets no tokens, and its next attempt does not look like a second use.
      throw RevocationFault(description: "cannot create \(codes.path(of: code.hex)): \(error)")
    }
  }
}
