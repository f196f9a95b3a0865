/// A folder of policy files, and what they refer to outside themselves.
package struct PolicyFolder: Sendable {
  /// As the operator names it; findings begin with it.
  package let path: String
  /// What relative paths of logs are relative to.
  package let stateFolder: String
  package let environment: [String: String]

  /// Without a `stateFolder` it is the first of `$STATE_DIRECTORY` (systemd.exec(5)), else the working directory.
  package init(path: String, stateFolder: String? = nil, environment: [String: String]) {
    self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    let stateFolders = environment["STATE_DIRECTORY"]?.split(separator: ":") ?? []
    self.stateFolder = stateFolder ?? stateFolders.first.map(String.init) ?? "."
    self.environment = environment
  }

  var surroundings: Surroundings { Surroundings(folder: path, environment: environment) }

  /// The root of a file; nil with an error if it is not JSON or absent. A file without a way out `whenAbsent` may be.
  func root(of name: String, whenAbsent: String? = nil, log: FindingLog) -> Field? {
    let file = "\(path)/\(name)"
    do throws(FileFault) {
      return root(try readFile(file, byteCountMax: JSONReader.byteCountMax), file: file, log: log)
    } catch {
      if error == .absent, whenAbsent == nil { return nil }
      let wayOut = error == .absent ? whenAbsent.map { wayOut in "; \(wayOut)" } : nil
      log.append(Finding(.error, file: file, message: "the file \(error.message)\(wayOut ?? "")"))
      return nil
    }
  }

  private func root(_ bytes: [UInt8], file: String, log: FindingLog) -> Field? {
    let (root, faults) = JSONReader.read(bytes)
    for fault in faults {
      log.append(Finding(.error, file: file, line: fault.line, keyPath: fault.keyPath, message: fault.message))
    }
    return root.map { node in Field(node: node, keyPath: "", file: file, log: log) }
  }
}
