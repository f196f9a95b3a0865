import FoundationEssentials
import OAuth
import Policies
import System

/// Why a file of revocations cannot be read or written: a sentence for the operator.
struct RevocationFault: Error, CustomStringConvertible {
  let description: String
}

/// The files in a folder of revocations, one for each process that writes there. Changes nothing.
struct RevocationLists: Sendable {
  let path: String

  /// Of ids in a file.
  static let entriesMax = 100_000
  /// An entry takes at most 61 bytes.
  private static let fileBytesMax = 61 * entriesMax + 1_024

  init(_ path: String) { self.path = path }

  /// The names of the files; nil: the folder cannot be listed.
  var names: [String]? { namesOfFiles(in: path)?.filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") } }

  /// The ids in all files, without those that may be forgotten by then; nil: a file, or the folder, cannot be read.
  ///
  /// - Parameter now: seconds since 1970.
  func ids(now: Int64) -> Set<TokenID>? {
    do throws(Errno) {
      _ = try FileStatus(path: path)
    } catch {
      // A gateway creates the folder when it starts.
      return error == .noSuchFile ? [] : nil
    }
    guard let names else { return nil }
    var ids: Set<TokenID> = []
    for name in names {
      guard let entries = try? read(name, status(name)) else { return nil }
      for (id, expiry) in entries where expiry > now { ids.insert(id) }
    }
    return ids
  }

  func status(_ name: String) throws(RevocationFault) -> FileStatus {
    let file = "\(path)/\(name)"
    let status: FileStatus
    do throws(Errno) {
      status = try FileStatus(path: file)
    } catch {
      throw RevocationFault(description: "cannot read \(file): \(error)")
    }
    // Nothing else is opened: a pipe would wait for its writer.
    guard status.isRegular, status.byteCount <= Self.fileBytesMax else {
      throw RevocationFault(
        description: "\(file) is not a file, or has more than \(Self.fileBytesMax) bytes; remove it")
    }
    return status
  }

  func read(_ name: String, _ status: FileStatus) throws(RevocationFault) -> [TokenID: Int64] {
    let file = "\(path)/\(name)"
    let bytes: [UInt8]
    do throws(Errno) {
      bytes = try InputFile(path: file).read(status.byteCount)
    } catch {
      throw RevocationFault(description: "cannot read \(file): \(error)")
    }
    guard let entries = RevocationList(bytes)?.entries else {
      throw RevocationFault(
        description:
          "\(file) is not a list of revocations; what it revoked before stays revoked, new entries are not in "
          + "force; repair or remove it")
    }
    return entries
  }
}

/// nil: the folder cannot be listed.
func namesOfFiles(in folder: String) -> [String]? { try? FileManager.default.contentsOfDirectory(atPath: folder) }
