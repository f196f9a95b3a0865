import FoundationEssentials
import Glibc
import OAuth
import Policies
import System

/// The folder in which gateways share what they have revoked, and which codes were used: `oauth.revocations`.
///
/// Each process writes its own file, and reads those of all others. A file in `codes` for each used code makes its
/// use exclusive: creating it fails for everyone but the first.
struct RevocationFolder: Sendable {
  private let path: String
  private let ownName: String

  static let entriesMax = 100_000
  /// An entry takes at most 61 bytes.
  private static let fileBytesMax = 61 * entriesMax + 1_024

  struct Fault: Error, CustomStringConvertible {
    let description: String
  }

  /// Creates what is missing.
  init(_ path: String) throws(Fault) {
    self.path = path
    var generator = SystemRandomNumberGenerator()
    let unique = TokenID(using: &generator).hex.prefix(8)
    ownName = "\(ProcessInfo.processInfo.hostName.filter { $0.isLetter || $0.isNumber || $0 == "-" })-\(unique).json"
    let codes = path + "/codes"
    // Also the folders above it. If one cannot be made, the check below fails.
    for end in codes.indices.dropFirst() where codes[end] == "/" { unsafe _ = mkdir(String(codes[..<end]), 0o700) }
    unsafe _ = mkdir(codes, 0o700)
    for folder in [path, codes] {
      guard unsafe access(folder, R_OK | W_OK | X_OK) == 0 else {
        throw Fault(description: "cannot use \(folder): \(Errno.last)")
      }
    }
  }

  /// A file that was read; it is read again when it has changed.
  struct Seen: Equatable {
    let inode: ino_t
    let byteCount: Int
    let modifiedSeconds: Int
    let modifiedNanoseconds: Int

    init(_ status: stat) {
      inode = status.st_ino
      byteCount = Int(status.st_size)
      modifiedSeconds = Int(status.st_mtim.tv_sec)
      modifiedNanoseconds = Int(status.st_mtim.tv_nsec)
    }
  }

  /// What other processes have revoked, without what has expired, according to the files that are new or have changed.
  ///
  /// - Parameters:
  ///   - seen: the files that were read before.
  ///   - report: gets a line for each file that cannot be read.
  func read(now: Int64, seen: inout [String: Seen], report: (String) -> Void) -> [TokenID: Int64] {
    var all: [TokenID: Int64] = [:]
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      report("oauth.revocations: cannot list \(path); what was revoked before stays revoked")
      return all
    }
    for name in names where name.hasSuffix(".json") && !name.hasPrefix(".") && name != ownName {
      do throws(Fault) {
        let status = try status(name)
        guard seen[name] != Seen(status) else { continue }
        // Also a damaged file is reported once, and not read until it changes.
        seen[name] = Seen(status)
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
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    where name.hasSuffix(".json") && !name.hasPrefix(".") && name != ownName {
      do throws(Fault) {
        let entries = try read(name, try status(name))
        guard !entries.isEmpty, entries.allSatisfy({ $0.value + Self.keptSeconds < now }) else { continue }
        unsafe _ = unlink("\(path)/\(name)")
      } catch {
        // Reported by `read`.
        continue
      }
    }
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path + "/codes")) ?? []
    where TokenID(hex: name) != nil {
      var status = stat()
      let file = "\(path)/codes/\(name)"
      guard unsafe stat(file, &status) == 0 else { continue }
      if Int64(status.st_mtim.tv_sec) + Self.keptSeconds < now { unsafe _ = unlink(file) }
    }
  }

  /// How long a file with expired entries only is kept, in case another gateway's clock is late.
  private static let keptSeconds: Int64 = 3_600

  private func status(_ name: String) throws(Fault) -> stat {
    let file = "\(path)/\(name)"
    var status = stat()
    guard unsafe stat(file, &status) == 0 else { throw Fault(description: "cannot read \(file): \(Errno.last)") }
    // Nothing else is opened: a pipe would wait for its writer.
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.fileBytesMax else {
      throw Fault(description: "\(file) is not a file, or has more than \(Self.fileBytesMax) bytes; remove it")
    }
    return status
  }

  private func read(_ name: String, _ status: stat) throws(Fault) -> [TokenID: Int64] {
    let file = "\(path)/\(name)"
    let bytes: [UInt8]
    do throws(Errno) {
      bytes = try InputFile(path: file).read(Int(status.st_size))
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
    let file = "\(path)/\(ownName)"
    do throws(Errno) {
      try FileReplacement(file, newMode: 0o600).write(RevocationList(entries: entries).json)
    } catch {
      throw Fault(description: "cannot write \(file): \(error)")
    }
  }

  /// Marks a code as used, durably; false: it was used before, here or at another gateway.
  func redeem(_ code: TokenID) throws(Fault) -> Bool {
    let file = "\(path)/codes/\(code.hex)"
    let number = unsafe open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard number >= 0 else {
      guard errno == EEXIST else { throw Fault(description: "cannot create \(file): \(Errno.last)") }
      return false
    }
    close(number)
    let folder = unsafe open(path + "/codes", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    let result = folder >= 0 ? fsync(folder) : -1
    let fault = Errno.last
    if folder >= 0 { close(folder) }
    guard result == 0 else {
      // The client gets no tokens: its next attempt must not look like a second use.
      unsafe _ = unlink(file)
      throw Fault(description: "cannot make \(file) durable: \(fault)")
    }
    return true
  }
}
