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

  /// The ids in all files, expired ones included; nil: a file, or the folder, cannot be read.
  var ids: Set<TokenID>? {
    do throws(Errno) {
      _ = try FileStatus(path: path)
    } catch {
      // A gateway creates the folder when it starts.
      return error == .noSuchFile ? [] : nil
    }
    guard let names else { return nil }
    var ids: Set<TokenID> = []
    for name in names {
      guard let list = try? read(name), list.absurdCount == 0 else { return nil }
      ids.formUnion(list.entries.keys)
    }
    return ids
  }

  func status(_ name: String) throws(RevocationFault) -> FileStatus {
    do throws(Errno) {
      return try FileStatus(path: "\(path)/\(name)")
    } catch {
      throw RevocationFault(description: "cannot read \(printable(name)) in \(path): \(error)")
    }
  }

  /// Reads a file. Does not wait for the writer of a pipe, and takes no more memory than the largest list.
  func read(_ name: String) throws(RevocationFault) -> RevocationList {
    let file = "\(path)/\(printable(name))"
    let bytes: [UInt8]?
    do throws(Errno) {
      bytes = try InputFile.contents(ofRegularFile: "\(path)/\(name)", byteCountMax: Self.fileBytesMax)
    } catch {
      throw RevocationFault(description: "cannot read \(file): \(error)")
    }
    guard let bytes else {
      throw RevocationFault(
        description: "\(file) is not a file, or has more than \(Self.fileBytesMax) bytes; remove it")
    }
    guard let list = RevocationList(bytes) else {
      throw RevocationFault(
        description:
          "\(file) is not a list of revocations; what it revoked before stays revoked, new entries are not in "
          + "force; repair or remove it")
    }
    return list
  }

  /// What is wrong with a list whose other entries are in force; nil: nothing.
  func fault(of list: RevocationList, _ name: String) -> RevocationFault? {
    guard list.absurdCount > 0 else { return nil }
    return RevocationFault(
      description: "\(path)/\(printable(name)): \(list.absurdCount) of its entries have an \"expires\" that no token "
        + "has and are not in force; the others are; repair the file")
  }
}

/// nil: the folder cannot be listed.
func namesOfFiles(in folder: String) -> [String]? { try? FileManager.default.contentsOfDirectory(atPath: folder) }
