import FoundationEssentials
import OAuth
import Policies
import System

/// The folder in which gateways share what they have revoked, and which codes were used: `oauth.revocations`.
///
/// Each process writes its own file, and reads those of all others. A file in `codes` for each used code makes its
/// use exclusive: creating it fails for everyone but the first.
struct RevocationFolder: Sendable {
  private let lists: SharedFolder
  private let codes: SharedFolder
  private let ownName: String

  static let entriesMax = 100_000
  /// An entry takes at most 61 bytes.
  private static let fileBytesMax = 61 * entriesMax + 1_024

  struct Fault: Error, CustomStringConvertible {
    let description: String
  }

  /// Creates what is missing.
  init(_ path: String) throws(Fault) {
    do throws(Errno) {
      codes = try SharedFolder(path + "/codes")
      lists = try SharedFolder(path)
    } catch {
      throw Fault(description: "cannot use \(path): \(error)")
    }
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
    guard let names = names(in: lists) else {
      report("oauth.revocations: cannot list \(lists.path); what was revoked before stays revoked")
      return all
    }
    for name in names where isOther(name) {
      do throws(Fault) {
        let status = try status(name)
        guard seen[name] != status else { continue }
        // Also a damaged file is reported once, and not read until it changes.
        seen[name] = status
        for (id, expiry) in try read(name, status) where expiry > now { all[id] = max(expiry, all[id] ?? 0) }
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
    for name in names(in: lists) ?? [] where isOther(name) {
      // Faults are reported by `read`.
      guard let status = try? status(name), let entries = try? read(name, status), !entries.isEmpty else { continue }
      if entries.allSatisfy({ $0.value + Self.keptSeconds < now }) { lists.remove(name) }
    }
    for name in names(in: codes) ?? [] where TokenID(hex: name) != nil {
      guard let status = try? FileStatus(path: codes.path(of: name)) else { continue }
      if status.modifiedAt + Self.keptSeconds < now { codes.remove(name) }
    }
  }

  private func names(in folder: SharedFolder) -> [String]? {
    try? FileManager.default.contentsOfDirectory(atPath: folder.path)
  }

  /// Whether it is the list of another process.
  private func isOther(_ name: String) -> Bool { name.hasSuffix(".json") && !name.hasPrefix(".") && name != ownName }

  /// How long a file with expired entries only is kept, in case another gateway's clock is late.
  private static let keptSeconds: Int64 = 3_600

  private func status(_ name: String) throws(Fault) -> FileStatus {
    let file = lists.path(of: name)
    let status: FileStatus
    do throws(Errno) {
      status = try FileStatus(path: file)
    } catch {
      throw Fault(description: "cannot read \(file): \(error)")
    }
    // Nothing else is opened: a pipe would wait for its writer.
    guard status.isRegular, status.byteCount <= Self.fileBytesMax else {
      throw Fault(description: "\(file) is not a file, or has more than \(Self.fileBytesMax) bytes; remove it")
    }
    return status
  }

  private func read(_ name: String, _ status: FileStatus) throws(Fault) -> [TokenID: Int64] {
    let file = lists.path(of: name)
    let bytes: [UInt8]
    do throws(Errno) {
      bytes = try InputFile(path: file).read(status.byteCount)
    } catch {
      throw Fault(description: "cannot read \(file): \(error)")
    }
    guard let entries = RevocationList(bytes)?.entries else {
      throw Fault(
        description:
          "\(file) is not a list of revocations; what it revoked before stays revoked, new entries are not in "
          + "force; repair or remove it")
    }
    return entries
  }

  /// Writes this process's own revocations, durably.
  func write(_ entries: [TokenID: Int64]) throws(Fault) {
    let file = lists.path(of: ownName)
    do throws(Errno) {
      try FileReplacement(file, newMode: 0o600).write(RevocationList(entries: entries).json)
    } catch {
      throw Fault(description: "cannot write \(file): \(error)")
    }
  }

  /// Marks a code as used, durably; false: it was used before, here or at another gateway.
  func redeem(_ code: TokenID) throws(Fault) -> Bool {
    do throws(Errno) {
      return try codes.create(code.hex)
    } catch {
      // The client gets no tokens, and its next attempt does not look like a second use.
      throw Fault(description: "cannot create \(codes.path(of: code.hex)): \(error)")
    }
  }
}
