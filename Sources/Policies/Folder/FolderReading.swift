package import Digests
import FoundationEssentials

/// One reading of a policy folder: each file is read once, and all that is asked of it comes from those bytes.
package final class FolderReading {
  package let folder: PolicyFolder
  private var files: [String: Result<FileContent, FileFault>] = [:]
  /// How many bytes each of them may have.
  private var bounds: [String: Int] = [:]
  private var names: [String: [String]?] = [:]
  private var pems: [String: PEMFile] = [:]
  /// Of the files whose bytes were let go of, or whose digest was asked for.
  private var digests: [String: Digest] = [:]
  /// Names of variables and paths of files that were not looked at, for the folder does not read keys.
  private var passedOver: (keys: Set<String>, files: Set<String>) = ([], [])

  package init(_ folder: PolicyFolder) { self.folder = folder }

  /// The files and folders of an earlier reading, as they are now.
  package convenience init(_ folder: PolicyFolder, like trace: Trace) {
    self.init(folder)
    for (path, byteCountMax) in trace.files { _ = try? content(path, byteCountMax: byteCountMax) }
    for path in trace.folders { _ = names(in: path) }
  }

  /// All of a regular file, or of what a link to one names; as it was when it was asked for first.
  ///
  /// - Parameter byteCountMax: the bound of the first who asks holds for all.
  func content(_ path: String, byteCountMax: Int) throws(FileFault) -> FileContent {
    if let known = files[path] {
      let content = try known.get()
      // Only a folder that names one of its own files as a key asks for such a file again.
      return content.isSpent ? try fileContent(path, byteCountMax: byteCountMax) : content
    }
    let result = Result { () throws(FileFault) in try fileContent(path, byteCountMax: byteCountMax) }
    files[path] = result
    bounds[path] = byteCountMax
    return try result.get()
  }

  /// The same file for all instances that name it.
  func pem(_ path: String, _ content: FileContent) -> PEMFile {
    if let known = pems[path] { return known }
    let file = PEMFile(path: path, content.bytes)
    pems[path] = file
    return file
  }

  /// What stands for a key that is not looked at.
  func passOver(key name: String) -> Secret {
    passedOver.keys.insert(name)
    return Secret(Array("not-looked-at".utf8))
  }

  /// What stands for a file of TLS that is not looked at.
  func passOver(file path: String) -> PEMFile {
    passedOver.files.insert(path)
    return PEMFile(path: path, [])
  }

  /// How many keys and files of TLS were not looked at; nil for none.
  package var passedOverNote: Finding? {
    let counts = [(passedOver.keys.count, "key"), (passedOver.files.count, "TLS file")].filter { $0.0 > 0 }
    guard !counts.isEmpty else { return nil }
    let what = counts.map { count, noun in "\(count) \(noun)\(count == 1 ? "" : "s")" }.joined(separator: " and ")
    return Finding(
      .note, file: folder.path,
      message: "\(what) not looked at, as --without-keys says; check without it where the gateway runs")
  }

  /// What a folder holds; nil if it cannot be read.
  func names(in path: String) -> [String]? {
    if let known = names[path] { return known }
    let found = namesInFolder(path)
    names[path] = .some(found)
    return found
  }

  // MARK: What was read

  /// Of a policy file's bytes; nil if it could not be read.
  func digest(of name: String) -> Digest? {
    let path = "\(folder.path)/\(name)"
    guard case .success(let content)? = files[path] else { return nil }
    return digest(of: path, content)
  }

  private func digest(of path: String, _ content: FileContent) -> Digest {
    if let known = digests[path] { return known }
    let digest = SHA256.digest(of: content.bytes.span)
    digests[path] = digest
    return digest
  }

  /// Lets go of the bytes of a policy file that is decoded: many of them are several times what a policy takes.
  func didDecode(_ name: String) {
    let path = "\(folder.path)/\(name)"
    guard case .success(let content)? = files[path] else { return }
    _ = digest(of: path, content)
    files[path] = .success(FileContent(bytes: [], mode: content.mode, isSpent: true))
  }

  /// Lets go of all that was read, several times what a policy takes.
  package func forget() {
    files.removeAll()
    bounds.removeAll()
    names.removeAll()
    pems.removeAll()
    digests.removeAll()
  }

  /// What is left of a reading: enough to tell whether another one differs.
  package struct Trace: Sendable {
    /// With the bounds of their bytes.
    fileprivate var files: [String: Int] = [:]
    fileprivate var folders: [String] = []
    /// A digest of all that was read, keys included; for comparison only, never shown. nil: nothing was read.
    package fileprivate(set) var stamp: Digest?

    package init() {}
  }

  package var trace: Trace {
    var trace = Trace()
    trace.files = bounds
    trace.folders = Array(names.keys)
    trace.stamp = stamp
    return trace
  }

  /// Two readings with equal ones are the same policy.
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

  /// Whether the files that are in these folders, or lead there, are still as they were read.
  package func isCurrent(in folders: Set<String>) -> Bool {
    files.allSatisfy { path, result in
      guard !folders.isDisjoint(with: watchedFolders(of: path)) else { return true }
      let now = Result { () throws(FileFault) in try fileContent(path, byteCountMax: bounds[path] ?? 0) }
      switch (result, now) {
      case (.success(let before), .success(let now)):
        return digest(of: path, before) == SHA256.digest(of: now.bytes.span)
      case (.failure(let before), .failure(let now)): return before == now
      case (.success, .failure), (.failure, .success): return false
      }
    }
  }

  /// The folders in which a change can change the policy: its own, those of tenants, those of keys and certificates, and
  /// those that links lead to. Where a folder is missing it is the nearest one above it.
  package var watchedFolders: [String] {
    var folders = Set<String>()
    // A link that stands for the whole folder is swapped where it lies.
    if isLink(folder.path) { folders.insert(parent(of: folder.path)) }
    for path in ["", "/clients", "/instances"].map({ folder.path + $0 }) where folderExists(path) {
      folders.insert(path)
      for name in names(in: path) ?? [] { note(linkAt: "\(path)/\(name)", in: &folders) }
    }
    for path in files.keys { folders.formUnion(watchedFolders(of: path)) }
    return folders.sorted()
  }

  private func watchedFolders(of path: String) -> Set<String> {
    var folders: Set = [existing(parent(of: path))]
    note(linkAt: path, in: &folders)
    // As above, for a folder of keys.
    if isLink(parent(of: path)) { folders.insert(existing(parent(of: parent(of: path)))) }
    return folders
  }

  private func note(linkAt path: String, in folders: inout Set<String>) {
    guard isLink(path) else { return }
    folders.insert(existing(parent(of: URL(filePath: path).resolvingSymlinksInPath().path)))
  }

  private func existing(_ path: String) -> String {
    var path = path
    while !folderExists(path), path != "/", path != "." { path = parent(of: path) }
    return path
  }
}

private func isLink(_ path: String) -> Bool {
  (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil
}

private func parent(of path: String) -> String {
  let parent = URL(filePath: path).deletingLastPathComponent().path
  return parent.isEmpty ? "." : parent
}
