import FoundationEssentials
import OAuth
import Policies
import System

/// The folder in which gateways share what they have revoked, and which codes were used: `oauth.revocations`.
///
/// Each process writes its own files, and reads those of all others. A file in `codes` for each used code makes its
/// use exclusive: creating it fails for everyone but the first.
///
/// Nothing removes the lists of other processes: one may run with a clock that says otherwise.
struct RevocationFolder: Sendable {
  let path: String
  private let folder: SharedFolder
  private let lists: RevocationLists
  private let codes: SharedFolder
  /// Of this process's files, before their number.
  private let ownPrefix: String

  /// Creates what is missing.
  init(_ path: String) throws(RevocationFault) {
    self.path = path
    do throws(Errno) {
      codes = try SharedFolder(path + "/codes")
      folder = try SharedFolder(path)
    } catch {
      throw RevocationFault(description: "cannot use \(path): \(error)")
    }
    lists = RevocationLists(path)
    let unique = TokenID.random().hex.prefix(8)
    let host = ProcessInfo.processInfo.hostName.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
    ownPrefix = "\(host)-\(unique)-"
  }

  /// What a look into the folder has found.
  struct Reading {
    /// Of other processes, according to the files that are new or have changed; also what has expired.
    var entries: [TokenID: Int64] = [:]
    /// The files of others that were read.
    var seen: [String: FileStatus] = [:]
    /// The numbers of this process's files.
    var ownFiles: Set<Int> = []
    /// A line for each file that cannot be read, or cannot be read completely.
    var faults: [String] = []
    /// Whether the folder could be listed.
    var isListed = true
  }

  /// - Parameter seen: the files that were read before.
  func read(seen: [String: FileStatus]) -> Reading {
    var reading = Reading()
    guard let names = lists.names else {
      reading.faults = ["oauth.revocations: cannot list \(path); what was revoked before stays revoked"]
      (reading.seen, reading.isListed) = (seen, false)
      return reading
    }
    for name in names {
      if name.hasPrefix(ownPrefix) {
        if let number = Int(name.dropFirst(ownPrefix.count).dropLast(".json".count)) { reading.ownFiles.insert(number) }
        continue
      }
      do throws(RevocationFault) {
        let status = try lists.status(name)
        // Also a damaged file is reported once, and not read until it changes.
        reading.seen[name] = status
        guard seen[name] != status else { continue }
        let list = try lists.read(name)
        for (id, expiry) in list.entries { reading.entries[id] = max(expiry, reading.entries[id] ?? 0) }
        if let fault = lists.fault(of: list, name) { throw fault }
      } catch {
        reading.faults.append("oauth.revocations: \(error)")
      }
    }
    return reading
  }

  /// Writes a file of this process's own revocations, durably.
  func write(_ entries: [TokenID: Int64], number: Int) throws(RevocationFault) {
    let file = folder.path(of: name(number))
    do throws(Errno) {
      try FileReplacement(file, newMode: 0o600).write(RevocationList(entries: entries).json)
    } catch {
      throw RevocationFault(description: "cannot write \(file): \(error)")
    }
  }

  /// Removes a file of this process.
  func remove(number: Int) { folder.remove(name(number)) }

  private func name(_ number: Int) -> String { "\(ownPrefix)\(number).json" }

  /// Marks a code as used, durably; false: it was used before, here or at another gateway.
  func redeem(_ code: TokenID) throws(RevocationFault) -> Bool {
    do throws(Errno) {
      return try codes.create(code.hex)
    } catch {
      // The client gets no tokens, and its next attempt does not look like a second use.
      throw RevocationFault(description: "cannot create \(codes.path(of: code.hex)): \(error)")
    }
  }

  // MARK: Removing

  /// Removes the marks of codes that expired long ago, and what writers of files have left behind that were killed.
  ///
  /// Both by the wall clock, and by the time since the first look: a clock that is wrong for a moment removes nothing.
  ///
  /// - Parameters:
  ///   - now: seconds since 1970.
  ///   - boot: seconds since the machine's start.
  ///   - firstSeen: when earlier calls saw each file first, since the machine's start.
  func removeOld(now: Int64, boot: Int64, firstSeen: inout [String: Int64]) {
    var present: Set<String> = []
    func remove(_ name: String, in folder: SharedFolder) {
      let path = folder.path(of: name)
      guard let status = try? FileStatus(path: path), status.isRegular else { return }
      present.insert(path)
      let since = firstSeen[path] ?? boot
      firstSeen[path] = since
      guard status.modifiedAt < now - Self.keptSeconds, boot - since >= Self.seenSeconds else { return }
      folder.remove(name)
    }
    for name in namesOfFiles(in: codes.path) ?? [] where TokenID(hex: name) != nil { remove(name, in: codes) }
    for name in namesOfFiles(in: path) ?? [] where FileReplacement.isTemporary(name) { remove(name, in: folder) }
    firstSeen = firstSeen.filter { present.contains($0.key) }
  }

  /// A code is valid for a minute, and gateways' clocks may be wrong.
  private static let keptSeconds: Int64 = 86_400
  private static let seenSeconds: Int64 = 3_600
}
