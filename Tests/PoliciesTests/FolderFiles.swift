import Foundation
import TestFolders

@testable import Policies

/// The files of a folder that is valid unless a test says otherwise.
struct FolderFiles {
  static let instances = """
    { "instances": {
      "inst_demo": { "url": "http://127.0.0.1:5001", "key": { "env": "DEMO_KEY" } },
      "inst_second": { "url": "https://core.example/blnk", "key": { "env": "DEMO_KEY" }, "writes": false } } }
    """
  static let clients = #"{ "clients": { "demo": { "scopes": ["proxy:read"], "instances": ["inst_demo"] } } }"#

  var files = ["instances.json": Self.instances, "clients.json": Self.clients]
  var environment = ["DEMO_KEY": "hunter2"]
  var now = UnixSeconds(1_800_000_000)

  init(_ changes: [String: String?] = [:]) {
    for (name, text) in changes { files[name] = text }
  }

  /// Loads them from a temporary folder; findings name it `policies`.
  func load() throws -> LoadResult {
    try withFolder { folder in
      let result = Policy.load(folder, now: now)
      let findings = result.findings.map { finding in
        var named = Finding(
          finding.severity, file: finding.file.replacingOccurrences(of: folder.path, with: "policies"),
          line: finding.line, keyPath: finding.keyPath, keyPattern: finding.keyPattern,
          message: finding.message.replacingOccurrences(of: folder.path, with: "policies"))
        named.isContained = finding.isContained
        return named
      }
      return LoadResult(policy: result.policy, findings: findings)
    }
  }

  /// Writes them into a temporary folder, which is removed after `body`.
  func withFolder<Result>(_ body: (PolicyFolder) throws -> Result) throws -> Result {
    try withTemporaryFolder { folder in
      for (name, text) in files {
        let path = folder.path(name)
        try FileManager.default.createDirectory(
          at: URL(filePath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
        try folder.write(text, to: name)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
      }
      return try body(PolicyFolder(path: folder.path, stateFolder: "/nonexistent", environment: environment))
    }
  }
}
