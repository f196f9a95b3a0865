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

/// A file as it was read.
struct FileContent {
  let bytes: [UInt8]
  /// The permission bits.
  let mode: Int
  /// Its bytes were let go of.
  var isSpent = false
}

/// All bytes of a regular file, or of what a link to one names.
func readFile(_ path: String, byteCountMax: Int) throws(FileFault) -> [UInt8] {
  try fileContent(path, byteCountMax: byteCountMax).bytes
}

/// All of a regular file, or of what a link to one names.
func fileContent(_ path: String, byteCountMax: Int) throws(FileFault) -> FileContent {
  guard var attributes = try? FileManager.default.attributesOfItem(atPath: path) else { throw .absent }
  if attributes[.type] as? FileAttributeType == .typeSymbolicLink {
    // Links are the exception, and finding where they lead takes a call for each folder on the way.
    let target = URL(filePath: path).resolvingSymlinksInPath().path
    guard let found = try? FileManager.default.attributesOfItem(atPath: target) else { throw .absent }
    attributes = found
  }
  let type = attributes[.type] as? FileAttributeType
  // Still a link: it leads nowhere.
  guard type != .typeSymbolicLink else { throw .absent }
  // A pipe or device would block the start, or never end.
  guard type == .typeRegular else { throw .noFile }
  guard let size = integer(attributes[.size]), size <= byteCountMax else { throw .tooLong(byteCountMax: byteCountMax) }
  guard let data = try? Data(contentsOf: URL(filePath: path)) else { throw .unreadable }
  // It may have grown since.
  guard data.count <= byteCountMax else { throw .tooLong(byteCountMax: byteCountMax) }
  return FileContent(bytes: Array(data), mode: (integer(attributes[.posixPermissions]) ?? 0) & 0o777)
}

/// A number of a file's attributes: as Foundation's number where the program has all of Foundation, else as it came.
private func integer(_ value: Any?) -> Int? {
  value as? Int ?? (value as? UInt64).map { Int($0) } ?? (value as? UInt).map { Int($0) }
    ?? (value as? UInt16).map { Int($0) }
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
