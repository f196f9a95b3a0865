/// A folder of policy files, and what they refer to outside themselves.
package struct PolicyFolder: Sendable {
  /// As the operator names it; findings begin with it.
  package let path: String
  /// What relative paths of logs are relative to.
  package let stateFolder: String
  package let environment: [String: String]
  /// Whether keys of Cores and the like, and files of TLS, are read. Without them a policy is fit to be checked, not to
  /// serve.
  package var readsKeys = true

  /// Without a `stateFolder` it is the first of `$STATE_DIRECTORY` (systemd.exec(5)), else the working directory.
  package init(path: String, stateFolder: String? = nil, environment: [String: String]) {
    self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    let stateFolders = environment["STATE_DIRECTORY"]?.split(separator: ":") ?? []
    self.stateFolder = stateFolder ?? stateFolders.first.map(String.init) ?? "."
    self.environment = environment
  }
}

extension FolderReading {
  /// The roots of a file and of all in the folder of its name, `clients.json` and `clients/*.json`: in the order of
  /// their names, the file first; nil for those that are not JSON. There has to be at least one.
  func roots(of name: String, whenAbsent wayOut: String? = nil, log: FindingLog) -> [Field?] {
    fileNames(of: name, log: log).map { file in
      root(of: file, whenAbsent: file == name ? wayOut : nil, log: log)
    }
  }

  /// The name of a file, unless it is missing beside others, and of all in the folder of its name.
  func fileNames(of name: String, log: FindingLog) -> [String] {
    let files = filesInFolder(of: name, log: log)
    return files.isEmpty || pathExists("\(folder.path)/\(name)") ? [name] + files : files
  }

  /// The names of the files in `clients/` or `instances/`, as they stand in this folder.
  ///
  /// Kubernetes shows a volume as links into `..data`, itself a link to `..2026_11_20…`: both begin with a dot, as do
  /// the files that editors and `token` write before they rename them, and none of these is read.
  private func filesInFolder(of name: String, log: FindingLog) -> [String] {
    let subfolder = String(name.dropLast(".json".utf8.count))
    guard pathExists("\(folder.path)/\(subfolder)") else { return [] }
    guard let names = names(in: "\(folder.path)/\(subfolder)") else {
      log.append(
        Finding(.error, file: "\(folder.path)/\(subfolder)", message: "is not a folder that this user can read"))
      return []
    }
    let files = names.filter { name in name.hasSuffix(".json") && !name.hasPrefix(".") }
    return files.sorted { left, right in left.utf8.lexicographicallyPrecedes(right.utf8) }.map { "\(subfolder)/\($0)" }
  }

  /// The root of a file; nil with an error if it is not JSON or absent. A file without a way out `whenAbsent` may be.
  func root(of name: String, whenAbsent: String? = nil, log: FindingLog) -> Field? {
    let file = "\(folder.path)/\(name)"
    do throws(FileFault) {
      return root(try content(file, byteCountMax: JSONReader.byteCountMax).bytes, file: file, log: log)
    } catch {
      let isLink = error == .absent && pathExists(file)
      if error == .absent, whenAbsent == nil, !isLink { return nil }
      let wayOut =
        isLink ? "; the link leads nowhere" : error == .absent ? whenAbsent.map { wayOut in "; \(wayOut)" } : nil
      log.append(Finding(.error, file: file, message: "the file \(error.message)\(wayOut ?? "")"))
      return nil
    }
  }

  private func root(_ bytes: [UInt8], file: String, log: FindingLog) -> Field? {
    let (root, faults) = JSONReader.read(bytes)
    for fault in faults {
      log.append(Finding(.error, file: file, line: fault.line, keyPath: fault.keyPath, message: fault.message))
    }
    return root.map { node in Field(root: node, file: file, log: log) }
  }
}
