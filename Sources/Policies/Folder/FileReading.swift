import FoundationEssentials

/// Why a file could not be read.
enum FileFault: Error, Equatable {
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

func folderExists(_ path: String) -> Bool {
  var isFolder = false
  return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder
}

/// Whether the path exists; true for a dangling link.
func pathExists(_ path: String) -> Bool {
  (try? FileManager.default.attributesOfItem(atPath: path)) != nil
}

/// The names in a folder; follows links. nil: it cannot be read.
func namesInFolder(_ path: String) -> [String]? {
  try? FileManager.default.contentsOfDirectory(atPath: path)
}

/// The content of a file at the time it was read.
struct FileContent {
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
  guard var attributes = try? FileManager.default.attributesOfItem(atPath: path) else { throw .absent }
  if attributes[.type] as? FileAttributeType == .typeSymbolicLink {
    // Links are rare, and resolving one takes a call for each folder in the path.
    let resolvedPath = URL(filePath: path).resolvingSymlinksInPath().path
    guard let found = try? FileManager.default.attributesOfItem(atPath: resolvedPath) else { throw .absent }
    attributes = found
  }
  let type = attributes[.type] as? FileAttributeType
  // Still a link: it is dangling.
  guard type != .typeSymbolicLink else { throw .absent }
  // Reading a pipe or device could block or never end.
  guard type == .typeRegular else { throw .notRegular }
  guard let size = integer(attributes[.size]), size <= byteCountMax else { throw .tooLong(byteCountMax: byteCountMax) }
  guard let data = try? Data(contentsOf: URL(filePath: path)) else { throw .unreadable }
  // It may have grown since.
  guard data.count <= byteCountMax else { throw .tooLong(byteCountMax: byteCountMax) }
  return FileContent(bytes: Array(data), mode: (integer(attributes[.posixPermissions]) ?? 0) & 0o777)
}

/// A numeric file attribute: bridged to Int if the program links all of Foundation, otherwise of its original type.
private func integer(_ value: Any?) -> Int? {
  value as? Int ?? (value as? UInt64).map { Int($0) } ?? (value as? UInt).map { Int($0) }
    ?? (value as? UInt16).map { Int($0) }
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
