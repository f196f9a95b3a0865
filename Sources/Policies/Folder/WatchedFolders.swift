package import Digests
import FoundationEssentials

extension PolicyFolder {
  /// The folders in which a change can change the policy: its own, those of tenants, and those that links lead to.
  package var watchedFolders: [String] {
    var folders = Set<String>()
    // A link that stands for the whole folder is swapped where it lies.
    if isLink(path) { folders.insert(parent(of: path)) }
    for folder in ["", "/clients", "/instances"].map({ path + $0 }) where folderExists(folder) {
      folders.insert(folder)
      for entry in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
        let file = "\(folder)/\(entry)"
        if isLink(file) { folders.insert(parent(of: URL(filePath: file).resolvingSymlinksInPath().path)) }
      }
    }
    return folders.sorted()
  }

  /// A digest of all that stands in the files: two equal ones are the same policy, key files aside.
  package var contents: Digest {
    var stream = SHA256Stream()
    for folder in ["", "/clients", "/instances"].map({ path + $0 }) {
      for entry in (namesInFolder(folder) ?? []).sorted() where entry.hasSuffix(".json") {
        // What is no file, or too long, is no policy either; a device would never end.
        guard let bytes = try? readFile("\(folder)/\(entry)", byteCountMax: JSONReader.byteCountMax) else { continue }
        stream.update(Array("\(folder)/\(entry) \(bytes.count)\n".utf8).span)
        stream.update(bytes.span)
      }
    }
    return stream.digest
  }
}

private func isLink(_ path: String) -> Bool {
  (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil
}

private func parent(of path: String) -> String {
  let parent = URL(filePath: path).deletingLastPathComponent().path
  return parent.isEmpty ? "." : parent
}
