extension FolderReading {
  /// A finding about a key at the root of a file, with the line of the key if the file has it.
  package func finding(_ severity: Finding.Severity, _ name: String, _ key: String, _ message: String) -> Finding {
    let member = root(of: name, log: FindingLog())?.node[key]
    return Finding(severity, file: "\(folder.path)/\(name)", line: member?.line, keyPath: key, message: message)
  }
}
