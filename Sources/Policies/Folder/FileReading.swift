import FoundationEssentials
import System

/// Why a file could not be read.
enum FileFault: Error, Equatable, Sendable {
  case absent
  case notRegular
  case tooLong(byteCountMax: Int)
  case unreadable

  /// The predicate of a sentence about the file.
  var message: String {
    switch self {
    case .absent: "does not exist"
    case .notRegular: "is not a regular file"
    case .tooLong(let byteCountMax): "is longer than \(byteCountMax) bytes"
    case .unreadable: "cannot be read by this user; check its permissions"
    }
  }
}

func folderExists(_ path: String) -> Bool { (try? FileKind(path: path, followsLinks: true)) == .folder }

/// Whether the path exists; true for a dangling link.
func pathExists(_ path: String) -> Bool { (try? FileKind(path: path, followsLinks: false)) != nil }

/// The names in a folder; follows links. nil: it cannot be read.
func namesInFolder(_ path: String) -> [String]? {
  try? FileManager.default.contentsOfDirectory(atPath: path)
}

/// The content of a file at the time it was read.
struct FileContent: Sendable {
  let bytes: [UInt8]
  /// The permission bits.
  let mode: Int
  /// Whether the bytes were released, and `bytes` is empty.
  var isReleased = false
}

/// The bytes of a regular file; follows links.
func readFile(_ path: String, byteCountMax: Int) throws(FileFault) -> [UInt8] {
  try fileContent(path, byteCountMax: byteCountMax).bytes
}

/// The bytes and the mode of a regular file; follows links.
func fileContent(_ path: String, byteCountMax: Int) throws(FileFault) -> FileContent {
  guard let status = try? FileStatus(path: path) else { throw .absent }
  // Reading a pipe or device could block or never end.
  guard status.isRegular else { throw .notRegular }
  guard status.byteCount <= byteCountMax else { throw .tooLong(byteCountMax: byteCountMax) }
  let found: [UInt8]?
  do throws(Errno) {
    found = try InputFile.contents(ofRegularFile: path, byteCountMax: byteCountMax)
  } catch {
    throw .unreadable
  }
  // It may have grown since.
  guard let bytes = found else { throw .tooLong(byteCountMax: byteCountMax) }
  return FileContent(bytes: bytes, mode: status.mode)
}

/// `path` itself if it is absolute, otherwise relative to `folder`.
func resolved(_ path: String, in folder: String) -> String {
  path.hasPrefix("/") ? path : "\(folder)/\(path)"
}

/// The absolute path without dot segments and links, so that two paths of one file compare equal; it need not exist.
func canonical(_ path: String) -> String {
  let url = URL(filePath: path).standardizedFileURL
  // Foundation resolves links only in paths that exist, so missing components are resolved separately.
  guard !FileManager.default.fileExists(atPath: url.path), url.path != "/" else {
    return url.resolvingSymlinksInPath().path
  }
  let folder = canonical(url.deletingLastPathComponent().path)
  return folder == "/" ? "/\(url.lastPathComponent)" : "\(folder)/\(url.lastPathComponent)"
}
