import FoundationEssentials

/// Why a file could not be read.
enum FileFault: Error, Equatable {
  case absent
  case noFile
  case tooLong(byteCountMax: Int)
  case unreadable

  /// The end of a sentence about the file.
  var message: String {
    switch self {
    case .absent: "does not exist"
    case .noFile: "is not a file"
    case .tooLong(let byteCountMax): "is longer than \(byteCountMax) bytes"
    case .unreadable: "cannot be read by this user"
    }
  }
}

func folderExists(_ path: String) -> Bool {
  var isFolder = false
  return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder
}

/// Whether something stands there, if only a link that leads nowhere.
func pathExists(_ path: String) -> Bool {
  (try? FileManager.default.attributesOfItem(atPath: path)) != nil
}

/// What a folder, or what a link to one names, holds; nil if it cannot be read.
func namesInFolder(_ path: String) -> [String]? {
  try? FileManager.default.contentsOfDirectory(atPath: path)
}

/// All bytes of a regular file, or of what a link to one names.
func readFile(_ path: String, byteCountMax: Int) throws(FileFault) -> [UInt8] {
  let url = URL(filePath: path).resolvingSymlinksInPath()
  // A pipe or device would block the start, or never end.
  let attributes = try? FileManager.default.attributesOfItem(atPath: url.path)
  guard let attributes else { throw .absent }
  let type = attributes[.type] as? FileAttributeType
  // Still a link: it leads nowhere.
  guard type != .typeSymbolicLink else { throw .absent }
  guard type == .typeRegular else { throw .noFile }
  guard let size = attributes[.size] as? Int ?? (attributes[.size] as? UInt64).map(Int.init), size <= byteCountMax
  else {
    throw .tooLong(byteCountMax: byteCountMax)
  }
  guard let data = try? Data(contentsOf: url) else { throw .unreadable }
  return Array(data)
}

/// The permission bits of a file, or of what a link to one names; nil if there is none.
func fileMode(_ path: String) -> Int? {
  let url = URL(filePath: path).resolvingSymlinksInPath()
  guard let mode = try? FileManager.default.attributesOfItem(atPath: url.path)[.posixPermissions] else { return nil }
  let bits = mode as? Int ?? (mode as? UInt).map { bits in Int(bits) } ?? (mode as? UInt16).map { bits in Int(bits) }
  return bits.map { bits in bits & 0o777 }
}

/// `path` itself if it begins with a slash, else within `folder`.
func resolved(_ path: String, in folder: String) -> String {
  path.hasPrefix("/") ? path : "\(folder)/\(path)"
}

/// Absolute, without dots and links, so that two names of one place compare equal; the place need not exist.
func canonical(_ path: String) -> String {
  let url = URL(filePath: path).standardizedFileURL
  // Links are resolved only in paths that exist, so what does not exist yet is set aside.
  guard !FileManager.default.fileExists(atPath: url.path), url.path != "/" else {
    return url.resolvingSymlinksInPath().path
  }
  let folder = canonical(url.deletingLastPathComponent().path)
  return folder == "/" ? "/\(url.lastPathComponent)" : "\(folder)/\(url.lastPathComponent)"
}
