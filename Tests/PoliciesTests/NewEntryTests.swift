import Digests
import Foundation
import Testing

@testable import Policies

private let entry = #""b": { "url": "http://c:1", "key": { "env": "KEY" } }"#
private let digest = Digest(hex: String(repeating: "b", count: 64))!

/// New instances and clients in files of every style.
@Suite struct NewEntryTests {
  private func instance(_ id: String = "b") throws -> NewEntry {
    .instance(try #require(InstanceID(id)), url: "http://c:1", key: .environment("KEY"))
  }

  private func edit(_ entry: NewEntry, in files: [String: String?]) throws -> FileEdit {
    try FolderFiles(files).withFolder { folder in try entry.edit(in: folder) }
  }

  /// `⟨…⟩` is what the edit puts into the text; every other byte is the file's.
  @Test(arguments: [
    #"{"instances":{⟨E⟩}}"#, #"{"instances":{"a":{"x":1}⟨,E⟩}}"#,
    #"{ "instances": { "a": {"x": 1}⟨, E⟩ } , "$schema": "x" }"#,
    #"{ "instances": { ⟨ E⟩ } }"#.replacing("{ ⟨ E⟩ }", with: "{⟨ E⟩ }"),
    "{\n  \"instances\": {\n    \"a\": { \"x\": 1 }⟨,\n    E⟩\n  }\n}\n",
    "{\n  \"instances\": {⟨\n    \"b\": {\n      \"url\": \"http://c:1\",\n      \"key\": { \"env\": \"KEY\" }\n    }\n  ⟩}\n}\n",
    "{\n  \"instances\": {⟨\n    \"b\": {\n      \"url\": \"http://c:1\",\n      \"key\": { \"env\": \"KEY\" }\n    }⟩\n  }\n}\n",
    "{\r\n\t\"instances\": {\r\n\t\t\"a\": {\r\n\t\t\t\"x\": 1\r\n\t\t}⟨,\r\n\t\t\"b\": {\r\n\t\t\t\"url\": \"http://c:1\",\r\n\t\t\t\"key\": { \"env\": \"KEY\" }\r\n\t\t}⟩\r\n\t}\r\n}\r\n",
  ])
  func `adds an entry in the file's own style`(shape: String) throws {
    let text = shape.replacing("E", with: entry, subrange: shape.startIndex..<shape.endIndex, maxReplacements: 1)
    let named = shape.contains("KEY") ? shape : text
    let edit = try edit(instance(), in: ["instances.json": named.replacing(#/⟨[^⟩]*⟩/#, with: "")])
    #expect(String(decoding: edit.after, as: UTF8.self) == named.replacing("⟨", with: "").replacing("⟩", with: ""))
    #expect(edit.isReadable && edit.file.hasSuffix("/instances.json"))
  }

  @Test func `a client's token has its own line where other keys do`() throws {
    let client = NewEntry.client(
      try #require(ClientID("b")), scopes: ["*"], instances: ["x", "y"], defaultInstance: InstanceID("x"),
      token: NewToken(digest, expiry: nil, note: nil))
    let tail = """
      {
        "clients": {
          "b": {
            "scopes": ["*"],
            "instances": ["x", "y"],
            "default_instance": "x",
            "tokens": [
              { "sha256": "\(digest)" }
            ]
          }
        }
      }

      """
    #expect(String(decoding: client.file, as: UTF8.self) == tail)
    let edit = try self.edit(client, in: ["clients.json": "{\n  \"clients\": {}\n}\n"])
    #expect(String(decoding: edit.after, as: UTF8.self) == tail)
    let line = try self.edit(client, in: ["clients.json": #"{"clients": {}}"#])
    #expect(
      String(decoding: line.after, as: UTF8.self)
        == #"{"clients": {"b": { "scopes": ["*"], "instances": ["x", "y"], "default_instance": "x", "#
        + #""tokens": [{ "sha256": "\#(digest)" }] }}}"#)
  }

  @Test func `an entry gets its own file where others have one`() throws {
    let other = #"{"instances": {"a": {"url": "http://c:2", "key": {"env": "DEMO_KEY"}}}}"#
    for files in [["instances.json": nil, "instances/a.json": other], ["instances/a.json": other]] {
      let edit = try self.edit(instance(), in: files)
      #expect(edit.file.hasSuffix("/instances/b.json") && edit.before == nil)
      #expect(try edit.after == instance().file)
    }
    #expect(throws: NewEntry.Fault.self) { try edit(instance("a"), in: ["instances/a.json": other]) }
    // Not a policy file.
    let hidden = try edit(instance(), in: ["instances/.a.json": other, "instances/README.md": "x"])
    #expect(hidden.file.hasSuffix("/instances.json"))
  }

  @Test func `a folder is validated as it would be after an edit`() throws {
    let client = #"{"clients": {"c": {"scopes": ["proxy:read"], "instances": ["b"]}}}"#
    let other = #"{"instances": {"a": {"url": "http://c:2", "key": {"env": "DEMO_KEY"}}}}"#
    for name in ["instances.json", "instances/a.json"] {
      let files = ["instances.json": nil, "clients.json": client].merging([name: other]) { $1 }
      try FolderFiles(files).withFolder { folder in
        var keyless = folder
        keyless.readsKeys = false
        #expect(Policy.load(keyless, now: UnixSeconds(0)).findings.contains { $0.severity == .error })
        var policy = FolderPolicy()
        let edit = try instance().edit(in: keyless)
        let result = policy.read(FolderReading(keyless, after: edit), now: UnixSeconds(0))
        #expect(result.policy?.instances.map(\.id.text).sorted() == ["a", "b"], "\(result.findings)")
        #expect(!result.findings.contains { $0.severity == .error }, "\(result.findings)")
        #expect(!edit.isCurrent || edit.before != nil || !FileManager.default.fileExists(atPath: edit.file))
      }
    }
  }

  @Test(arguments: [
    ("env:DEMO_KEY", nil), ("env:ABSENT", "is not set"), ("env:1A", "must be the name of an environment variable"),
    ("env:", "must be the name"), ("env:A\nB", "control characters"), ("file:/nowhere/key", "does not exist"),
    ("file:", "must"), ("credential:..", "must be the name of a credential"),
    ("credential:key", "$CREDENTIALS_DIRECTORY is not set"),
  ])
  func `says why a key cannot be used`(text: String, part: String?) throws {
    let key = try #require(KeyReference(text))
    try FolderFiles().withFolder { folder in
      let fault = key.fault(in: folder)
      #expect(part == nil ? fault == nil : fault?.contains(part ?? "") == true, "\(fault ?? "nil")")
    }
  }

  @Test(arguments: ["", "secret", "key:x", "ENV:x"])
  func `a key itself is not a reference to one`(text: String) { #expect(KeyReference(text) == nil) }
}
