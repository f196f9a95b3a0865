package import Digests
import FoundationEssentials
import System

/// One reading of a policy folder. Each file is read once; every later use sees the same bytes.
package final class FolderReading {
  package let folder: PolicyFolder
  private var files: [String: Result<FileContent, FileFault>] = [:]
  /// The size limit of each file, in bytes.
  private var bounds: [String: Int] = [:]
  private var names: [String: [String]?] = [:]
  private var pems: [String: PEMFile] = [:]
  /// The digests of files that were released or whose digest was requested.
  private var digests: [String: Digest] = [:]
  /// A file that another thread reads, parses and digests meanwhile; nil: there is none.
  private var ahead: (path: String, file: FileAhead)?
  /// Keys, by variable name or path, and TLS files that were not read because `folder.readsKeys` is false.
  private var skipped: (keys: Set<String>, files: Set<String>) = ([], [])

  package init(_ folder: PolicyFolder) { self.folder = folder }

  /// Reads the same files and folders as an earlier reading.
  package convenience init(_ folder: PolicyFolder, rereading inventory: Inventory) {
    self.init(folder)
    for (path, byteCountMax) in inventory.files { _ = try? content(path, byteCountMax: byteCountMax) }
    for path in inventory.folders { _ = names(in: path) }
  }

  /// A reading of the folder as it would be after an edit that is not written yet.
  package convenience init(_ folder: PolicyFolder, after edit: FileEdit) {
    self.init(folder)
    files[edit.file] = .success(FileContent(bytes: edit.after, mode: 0o600))
    bounds[edit.file] = JSONReader.byteCountMax
    guard edit.before == nil, let slash = edit.file.lastIndex(of: "/") else { return }
    let parent = String(edit.file[..<slash])
    names[parent] = .some((namesInFolder(parent) ?? []) + [String(edit.file[edit.file.index(after: slash)...])])
  }

  /// The content of a regular file when it was first read; follows links.
  ///
  /// - Parameter byteCountMax: only the value of the first call for a path counts.
  func content(_ path: String, byteCountMax: Int) throws(FileFault) -> FileContent {
    if let known = files[path] {
      let content = try known.get()
      // Released and read again: only if a policy names a policy file as a key.
      return content.isReleased ? try fileContent(path, byteCountMax: byteCountMax) : content
    }
    let result = Result { () throws(FileFault) in try read(path, byteCountMax: byteCountMax) }
    files[path] = result
    bounds[path] = byteCountMax
    return try result.get()
  }

  /// Begins to read, parse and digest a policy file on a separate thread, if it is large and not read yet.
  func readAhead(_ name: String) {
    let path = "\(folder.path)/\(name)"
    guard files[path] == nil, let status = try? FileStatus(path: path), status.byteCount >= FileAhead.bytesMin else {
      return
    }
    ahead = (path, FileAhead(path))
  }

  private func read(_ path: String, byteCountMax: Int) throws(FileFault) -> FileContent {
    guard let file = ahead(of: path) else { return try fileContent(path, byteCountMax: byteCountMax) }
    guard byteCountMax == JSONReader.byteCountMax else {
      // An instance names a policy file as its key or certificate. The other thread may have seen other bytes.
      ahead = nil
      return try fileContent(path, byteCountMax: byteCountMax)
    }
    return try file.content().get()
  }

  private func ahead(of path: String) -> FileAhead? { ahead.flatMap { $0.path == path ? $0.file : nil } }

  /// The root of a JSON file that was read.
  func parsed(_ path: String, _ bytes: [UInt8]) -> JSONReader.Result {
    ahead(of: path)?.parsed() ?? JSONReader.read(bytes)
  }

  /// One shared value for all instances that name the path.
  func pem(_ path: String, _ content: FileContent) -> PEMFile {
    if let known = pems[path] { return known }
    let file = PEMFile(path: path, content.bytes)
    pems[path] = file
    return file
  }

  /// A placeholder for a key that is not read.
  func skip(key name: String) -> Secret {
    skipped.keys.insert(name)
    return Secret(Array("not-read".utf8))
  }

  /// A placeholder for a TLS file that is not read.
  func skip(file path: String) -> PEMFile {
    skipped.files.insert(path)
    return PEMFile(path: path, [])
  }

  /// A note about the number of keys and TLS files that were not read; nil: none.
  package var skippedNote: Finding? {
    let counts = [(skipped.keys.count, "key"), (skipped.files.count, "TLS file")].filter { $0.0 > 0 }
    guard !counts.isEmpty else { return nil }
    let what = counts.map { count, noun in "\(count) \(noun)\(count == 1 ? "" : "s")" }.joined(separator: " and ")
    return Finding(
      .note, file: folder.path,
      message: "\(what) not read because of --without-keys; on the gateway's machine, run `check` without it")
  }

  /// The names in a folder; nil: it cannot be read.
  func names(in path: String) -> [String]? {
    if let known = names[path] { return known }
    let found = namesInFolder(path)
    names[path] = .some(found)
    return found
  }

  // MARK: Digests and inventory

  /// The digest of a policy file; nil: it could not be read.
  func digest(of name: String) -> Digest? {
    let path = "\(folder.path)/\(name)"
    guard case .success(let content)? = files[path] else { return nil }
    return digest(of: path, content)
  }

  private func digest(of path: String, _ content: FileContent) -> Digest {
    if let known = digests[path] { return known }
    let digest = ahead(of: path)?.digest() ?? SHA256.digest(of: content.bytes.span)
    digests[path] = digest
    return digest
  }

  /// Releases the bytes of a decoded policy file: together, the files take several times the memory of a policy.
  func releaseContent(of name: String) {
    let path = "\(folder.path)/\(name)"
    guard case .success(let content)? = files[path] else { return }
    _ = digest(of: path, content)
    if ahead(of: path) != nil { ahead = nil }
    files[path] = .success(FileContent(bytes: [], mode: content.mode, isReleased: true))
  }

  /// Releases everything that was read, which takes several times the memory of a policy.
  package func releaseAll() {
    files.removeAll()
    bounds.removeAll()
    names.removeAll()
    pems.removeAll()
    digests.removeAll()
    ahead = nil
  }

  /// Which files and folders a reading read, and a digest by which to compare it with another.
  package struct Inventory: Sendable {
    /// By path, with their size limits in bytes.
    fileprivate var files: [String: Int] = [:]
    fileprivate var folders: [String] = []
    /// A digest of everything that was read, keys included; for comparison only, never shown. nil: nothing was read.
    package fileprivate(set) var stamp: Digest?

    package init() {}
  }

  package var inventory: Inventory {
    var inventory = Inventory()
    inventory.files = bounds
    inventory.folders = Array(names.keys)
    inventory.stamp = stamp
    return inventory
  }

  /// Readings with equal stamps have the same policy.
  package var stamp: Digest {
    var stream = SHA256Stream()
    for (path, result) in files.sorted(by: { $0.key < $1.key }) {
      switch result {
      case .success(let content):
        stream.update(Array("\(path) \(digest(of: path, content).hex)\n".utf8).span)
      case .failure(let fault): stream.update(Array("\(path) \(fault.message)\n".utf8).span)
      }
    }
    for (path, names) in names.sorted(by: { $0.key < $1.key }) {
      let policies = names?.filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted()
      stream.update(Array("\(path)/ \(policies.map { $0.joined(separator: "/") } ?? "unreadable")\n".utf8).span)
    }
    return stream.digest
  }

  /// Whether the files in these folders, or reached through links in them, are unchanged since they were read.
  package func isCurrent(in folders: Set<String>) -> Bool {
    var parents: [String: Set<String>] = [:]
    return files.allSatisfy { path, result in
      guard !folders.isDisjoint(with: watchedFolders(of: path, &parents)) else { return true }
      let now = Result { () throws(FileFault) in try fileContent(path, byteCountMax: bounds[path] ?? 0) }
      switch (result, now) {
      case (.success(let before), .success(let now)):
        if !before.isReleased { return before.bytes == now.bytes }
        return digest(of: path, before) == SHA256.digest(of: now.bytes.span)
      case (.failure(let before), .failure(let now)): return before == now
      case (.success, .failure), (.failure, .success): return false
      }
    }
  }

  /// The folders in which a change can affect the policy: the policy folder, `clients/` and `instances/`, the folders
  /// of keys and certificates, and those of links' destinations. For a missing folder, its nearest existing ancestor.
  package var watchedFolders: [String] {
    var folders = Set<String>()
    // A link to the whole folder is replaced in its parent folder.
    if isLink(folder.path) { folders.insert(parent(of: folder.path)) }
    for path in ["", "/clients", "/instances"].map({ folder.path + $0 }) where folderExists(path) {
      folders.insert(path)
      for name in names(in: path) ?? [] { insertDestination(ofLinkAt: "\(path)/\(name)", into: &folders) }
    }
    var parents: [String: Set<String>] = [:]
    for path in files.keys { folders.formUnion(watchedFolders(of: path, &parents)) }
    return folders.sorted()
  }

  /// - Parameter parents: the folders to watch because of each folder with files, which may be very many.
  private func watchedFolders(of path: String, _ parents: inout [String: Set<String>]) -> Set<String> {
    let parent = parent(of: path)
    var folders = parents[parent] ?? watchedFolders(ofParent: parent)
    parents[parent] = folders
    insertDestination(ofLinkAt: path, into: &folders)
    return folders
  }

  private func watchedFolders(ofParent folder: String) -> Set<String> {
    // As above, for a folder of keys.
    isLink(folder) ? [nearestExisting(folder), nearestExisting(parent(of: folder))] : [nearestExisting(folder)]
  }

  private func insertDestination(ofLinkAt path: String, into folders: inout Set<String>) {
    guard isLink(path) else { return }
    folders.insert(nearestExisting(parent(of: URL(filePath: path).resolvingSymlinksInPath().path)))
  }

  private func nearestExisting(_ path: String) -> String {
    var path = path
    while !folderExists(path), path != "/", path != "." { path = parent(of: path) }
    return path
  }
}

private func isLink(_ path: String) -> Bool { (try? FileKind(path: path, followsLinks: false)) == .link }

private func parent(of path: String) -> String {
  if let folder = plainParent(of: path) { return folder }
  let parent = URL(filePath: path).deletingLastPathComponent().path
  return parent.isEmpty ? "." : parent
}

/// The same for nearly all paths, a hundred times as fast; nil: the path has no slash but a leading one, ends with one, or has
/// empty segments or ones that start with a dot.
private func plainParent(of path: String) -> String? {
  let bytes = Array(path.utf8)
  var slash = 0
  for index in bytes.indices where bytes[index] == UInt8(ascii: "/") {
    let next = index + 1
    guard next < bytes.count, bytes[next] != UInt8(ascii: "/"), bytes[next] != UInt8(ascii: ".") else { return nil }
    slash = index
  }
  return slash > 0 ? String(decoding: bytes[..<slash], as: UTF8.self) : nil
}
