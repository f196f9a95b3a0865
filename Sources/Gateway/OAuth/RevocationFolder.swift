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
    do {
      try FileManager.default.createDirectory(
        atPath: path + "/codes", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw Fault(description: "cannot create \(path)/codes: \(error)")
    }
    guard unsafe access(path, R_OK | W_OK | X_OK) == 0, unsafe access(path + "/codes", R_OK | W_OK | X_OK) == 0 else {
      throw Fault(description: "cannot write to \(path): \(Errno.last)")
    }
  }

  /// What all gateways have revoked, without what has expired.
  ///
  /// - Parameter report: gets a line for each file that cannot be read.
  func read(now: Int64, report: (String) -> Void) -> [TokenID: Int64] {
    var all: [TokenID: Int64] = [:]
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    for name in names.sorted() where name.hasSuffix(".json") && !name.hasPrefix(".") {
      do throws(Fault) {
        let entries = try read(name)
        for (id, expiry) in entries where expiry > now { all[id] = max(expiry, all[id] ?? 0) }
        // Left by a process that has ended.
        if name != ownName, !entries.isEmpty, entries.allSatisfy({ $0.value + Self.keptSeconds < now }) {
          unsafe _ = unlink("\(path)/\(name)")
        }
      } catch {
        report("oauth.revocations: \(error)")
      }
    }
    return all
  }

  /// How long a file with expired entries only is kept, in case another gateway's clock is late.
  private static let keptSeconds: Int64 = 3_600

  private func read(_ name: String) throws(Fault) -> [TokenID: Int64] {
    let file = "\(path)/\(name)"
    var status = stat()
    guard unsafe stat(file, &status) == 0 else { throw Fault(description: "cannot read \(file): \(Errno.last)") }
    // Nothing else is opened: a pipe would wait for its writer.
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.fileBytesMax else {
      throw Fault(description: "\(file) is not a file, or has more than \(Self.fileBytesMax) bytes; remove it")
    }
    let bytes: [UInt8]
    do throws(Errno) {
      bytes = try InputFile(path: file).read(Int(status.st_size))
    } catch {
      throw Fault(description: "cannot read \(file): \(error)")
    }
    guard let entries = RevocationList(bytes)?.entries else {
      throw Fault(description: "\(file) is not a list of revocations; its entries are not in force; repair or remove it")
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
    guard folder >= 0 else { throw Fault(description: "cannot open \(path)/codes: \(Errno.last)") }
    let result = fsync(folder)
    close(folder)
    guard result == 0 else { throw Fault(description: "cannot make \(file) durable: \(Errno.last)") }
    return true
  }

  /// Removes the marks of codes that have long expired.
  func removeOldCodes(now: Int64) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path + "/codes")) ?? []
    for name in names where TokenID(hex: name) != nil {
      var status = stat()
      let file = "\(path)/codes/\(name)"
      guard unsafe stat(file, &status) == 0 else { continue }
      if Int64(status.st_mtim.tv_sec) + Self.keptSeconds < now { unsafe _ = unlink(file) }
    }
  }
}
