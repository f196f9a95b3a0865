/// A folder of policy files, with the state folder and the environment that they refer to.
package struct PolicyFolder: Sendable {
  /// As the operator names it; findings start with it.
  package let path: String
  /// Relative paths of logs are relative to it.
  package let stateFolder: String
  package let environment: [String: String]
  /// Whether to read secrets and TLS files. A policy without them can be checked but cannot serve.
  package var readsKeys = true

  /// - Parameter stateFolder: nil: the first of `$STATE_DIRECTORY` (systemd.exec(5)), or else the working directory.
  package init(path: String, stateFolder: String? = nil, environment: [String: String]) {
    self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    let stateFolders = environment["STATE_DIRECTORY"]?.split(separator: ":") ?? []
    self.stateFolder = stateFolder ?? stateFolders.first.map(String.init) ?? "."
    self.environment = environment
  }
}

extension FolderReading {
  /// The roots of a file and of all files in the folder of the same name, such as `clients.json` and `clients/*.json`:
  /// that file first, then by name; nil for each that is not JSON.
  ///
  /// - Parameter remedy: as of `root`, if none of them exists.
  func roots(of name: String, whenAbsent remedy: String? = nil, log: FindingLog) -> [Field?] {
    fileNames(of: name, log: log).map { file in
      root(of: file, whenAbsent: file == name ? remedy : nil, log: log)
    }
  }

  /// The names of `clients.json` and `clients/*.json`, for example; without the former if only the latter exist.
  func fileNames(of name: String, log: FindingLog) -> [String] {
    let files = filesInFolder(of: name, log: log)
    return files.isEmpty || pathExists("\(folder.path)/\(name)") ? [name] + files : files
  }

  /// The names of the files in `clients/` or `instances/`, relative to this folder.
  ///
  /// Skips names that start with a dot. Kubernetes mounts a volume as links into `..data`, itself a link to
  /// `..2026_11_20…`; editors and `token` write temporary files with such names.
  private func filesInFolder(of name: String, log: FindingLog) -> [String] {
    let subfolder = String(name.dropLast(".json".utf8.count))
    let path = "\(folder.path)/\(subfolder)"
    // Also asked if there is no such folder, so that a comparison with a later reading shows that it was created.
    guard let names = names(in: path) else {
      if pathExists(path) {
        log.append(Finding(.error, file: path, message: "is not a folder, or this user cannot read it"))
      }
      return []
    }
    let files = names.filter { name in name.hasSuffix(".json") && !name.hasPrefix(".") }
    return files.sorted { left, right in left.utf8.lexicographicallyPrecedes(right.utf8) }.map { "\(subfolder)/\($0)" }
  }

  /// The root of a file; nil, with an error recorded, if it is not JSON or absent.
  ///
  /// - Parameter remedy: the end of the error about an absent file; nil: the file is optional.
  func root(of name: String, whenAbsent remedy: String? = nil, log: FindingLog) -> Field? {
    let file = "\(folder.path)/\(name)"
    do throws(FileFault) {
      return root(parsed(file, try content(file, byteCountMax: JSONReader.byteCountMax).bytes), file: file, log: log)
    } catch {
      let isLink = error == .absent && pathExists(file)
      if error == .absent, remedy == nil, !isLink { return nil }
      let ending = isLink ? " (dangling link)" : error == .absent ? remedy.map { remedy in "; \(remedy)" } : nil
      log.append(Finding(.error, file: file, message: "\(error.message)\(ending ?? "")"))
      return nil
    }
  }

  /// A finding about a key at the root of a file, with its line if the file has the key.
  package func finding(_ severity: Finding.Severity, _ name: String, _ key: String, _ message: String) -> Finding {
    let member = root(of: name, log: FindingLog())?.node[key]
    return Finding(severity, file: "\(folder.path)/\(name)", line: member?.line, keyPath: key, message: message)
  }

  private func root(_ parsed: JSONReader.Result, file: String, log: FindingLog) -> Field? {
    let (root, faults) = parsed
    for fault in faults {
      log.append(Finding(.error, file: file, line: fault.line, keyPath: fault.keyPath, message: fault.message))
    }
    return root.map { node in Field(root: node, file: file, log: log) }
  }
}
