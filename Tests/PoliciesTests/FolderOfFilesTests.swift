import Foundation
import Testing

@testable import Policies

/// `clients/` and `instances/` in addition to `clients.json` and `instances.json`, or instead of them.
@Suite struct FolderOfFilesTests {
  @Test func `reads clients.json, then the files of the folder in the order of their names`() throws {
    let result = try FolderFiles([
      "clients/b.json": client("b"), "clients/a.json": client("a"), "clients/B.json": client("c"),
      "instances/more.json": instance("inst_more"),
    ]).load()
    #expect(result.findings.isEmpty)
    #expect(result.policy?.clients.map(\.id.text) == ["demo", "c", "a", "b"])
    #expect(result.policy?.instances.map(\.id.text) == ["inst_demo", "inst_second", "inst_more"])
  }

  @Test func `needs no clients.json or instances.json if their folders have a file`() throws {
    let files = FolderFiles([
      "clients.json": nil, "instances.json": nil, "clients/a.json": client("a"),
      "instances/demo.json": instance("inst_demo"),
    ])
    #expect(try files.load().policy?.clients.count == 1)
    let empty = FolderFiles(["clients.json": nil, "clients/note.txt": "not read"])
    #expect(
      try empty.load().findings.map(\.description) == [
        #"policies/clients.json: does not exist; create it with {"clients": {…}}"#
      ])
  }

  @Test func `names both places of what two files define`() throws {
    let digest = String(repeating: "0", count: 64)
    let result = try FolderFiles([
      "clients/a.json": "{\n" + client("demo").dropFirst(),
      "clients/b.json": client("b", #", "tokens": [{"sha256": "\#(digest)"}]"#),
      "clients/c.json": client("c", ", \"tokens\": [\n{\"sha256\": \"\(digest)\"}]"),
      "instances/x.json": instance("inst_demo"),
    ]).load()
    #expect(
      result.findings.map(\.description) == [
        "policies/instances/x.json:1: instances.inst_demo: this instance is already defined in "
          + "policies/instances.json:2; remove one of them",
        "policies/clients/a.json:2: clients.demo: this client is already defined in policies/clients.json:1; remove one "
          + "of them",
        "policies/clients/c.json:2: clients.c.tokens[0].sha256: is the same token as clients.b.tokens[0] "
          + "in policies/clients/b.json:1",
      ])
  }

  @Test func `reads a folder as Kubernetes mounts it, each file once`() throws {
    try FolderFiles().withFolder { folder in
      let manager = FileManager.default
      let version = "\(folder.path)/clients/..2026_11_20_20_00_00.123"
      try manager.createDirectory(atPath: version, withIntermediateDirectories: true)
      try Data(client("shop").utf8).write(to: URL(filePath: "\(version)/shop.json"))
      try manager.createSymbolicLink(
        atPath: "\(folder.path)/clients/..data", withDestinationPath: "..2026_11_20_20_00_00.123")
      try manager.createSymbolicLink(
        atPath: "\(folder.path)/clients/shop.json", withDestinationPath: "..data/shop.json")
      try Data("{".utf8).write(to: URL(filePath: "\(folder.path)/clients/.shop.json.swp.json"))
      let result = Policy.load(folder, now: UnixSeconds(0))
      #expect(result.findings.isEmpty)
      #expect(result.policy?.clients.map(\.id.text) == ["demo", "shop"])
    }
  }

  @Test func `says what is in the way`() throws {
    try FolderFiles(["clients/a.json": "{"]).withFolder { folder in
      let manager = FileManager.default
      try manager.createDirectory(atPath: "\(folder.path)/clients/d.json", withIntermediateDirectories: true)
      try manager.createSymbolicLink(atPath: "\(folder.path)/clients/l.json", withDestinationPath: "nowhere")
      try Data().write(to: URL(filePath: "\(folder.path)/instances"))
      let lines = Policy.load(folder, now: UnixSeconds(0)).findings.map { finding in
        finding.description.replacing(folder.path, with: "policies")
      }
      #expect(
        lines == [
          "policies/instances: is not a folder, or this user cannot read it",
          "policies/clients/a.json:1: unexpected end of file; expected a key in double quotes (column 2)",
          "policies/clients/d.json: is not a regular file",
          "policies/clients/l.json: does not exist (dangling link)",
        ])
    }
  }

  @Test func `says nothing of missing instances when a file of them cannot be read`() throws {
    let result = try FolderFiles(["instances.json": nil, "instances/a.json": "{", "instances/b.json": instance("x")])
      .load()
    #expect(result.findings.count == 1 && result.findings[0].isContained)
  }
}

private func client(_ id: String, _ members: String = "") -> String {
  #"{"clients": {"\#(id)": {"scopes": ["proxy:read"], "instances": ["inst_demo"]\#(members)}}}"#
}

private func instance(_ id: String) -> String {
  #"{"instances": {"\#(id)": {"url": "http://127.0.0.1:5003", "key": {"env": "DEMO_KEY"}}}}"#
}
