import FoundationEssentials

/// Why a file could not be read, as the end of a sentence about it.
struct FileFault: Error {
  let message: String
}

/// All bytes of a regular file, or of what a link to one names.
func readFile(_ path: String, byteCountMax: Int) throws(FileFault) -> [UInt8] {
  let url = URL(filePath: path).resolvingSymlinksInPath()
  // A pipe or device would block the start, or never end.
  let attributes = try? FileManager.default.attributesOfItem(atPath: url.path)
  guard let attributes else { throw FileFault(message: "does not exist") }
  guard attributes[.type] as? FileAttributeType == .typeRegular else { throw FileFault(message: "is not a file") }
  guard let size = attributes[.size] as? Int ?? (attributes[.size] as? UInt64).map(Int.init), size <= byteCountMax
  else {
    throw FileFault(message: "is longer than \(byteCountMax) bytes")
  }
  guard let data = try? Data(contentsOf: url) else { throw FileFault(message: "cannot be read by this user") }
  return Array(data)
}

/// `path` itself if it begins with a slash, else within `folder`.
func resolved(_ path: String, in folder: String) -> String {
  path.hasPrefix("/") ? path : "\(folder)/\(path)"
}

/// Absolute, without dots and links, so that two names of one place compare equal.
func canonical(_ path: String) -> String {
  URL(filePath: path).standardizedFileURL.resolvingSymlinksInPath().path
}
