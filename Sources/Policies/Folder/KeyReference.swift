/// Where a key is, as in the `"key"` of an instance; never the key itself.
package enum KeyReference: Equatable {
  /// The name of an environment variable.
  case environment(String)
  /// The path of a file.
  case file(String)
  /// The name of a systemd credential.
  case credential(String)

  /// Reads `env:NAME`, `file:PATH` or `credential:NAME`; nil for other text.
  package init?(_ text: String) {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    let name = String(text[text.index(after: colon)...])
    switch text[..<colon] {
    case "env": self = .environment(name)
    case "file": self = .file(name)
    case "credential": self = .credential(name)
    default: return nil
    }
  }

  /// The value of `"key"`.
  var json: String {
    switch self {
    case .environment(let name): "{ \"env\": \(jsonString(name)) }"
    case .file(let path): "{ \"file\": \(jsonString(path)) }"
    case .credential(let name): "{ \"credential\": \(jsonString(name)) }"
    }
  }

  /// Why a policy in the folder could not use the key; nil: it could. Reads the key if the folder's are read.
  package func fault(in folder: PolicyFolder) -> String? {
    let log = FindingLog()
    let (root, faults) = JSONReader.read(Array(json.utf8))
    guard let root, faults.isEmpty else { return "must not contain control characters" }
    _ = Field(root: root, file: folder.path, log: log).secret(in: FolderReading(folder))
    return log.findings.first { finding in finding.severity == .error }?.message
  }
}
