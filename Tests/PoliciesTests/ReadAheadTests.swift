import Foundation
import Testing

@testable import Policies

@Suite struct ReadAheadTests {
  @Test(arguments: [
    FolderFiles.clients,
    #"{ "clients": { "demo": { "scopes": ["proxy:read"], "instances": ["inst_demo", "\u0069nst_second"] } } }"#,
    #"{ "clients": { "demo": { "scopes": ["proxy:reed"], "instances": ["inst_dmeo"] } } }"#,
    #"{ "clients": { "demo": { "scopes": ["*"], "instances": ["*"], "limits": { "brust": 1 } } } }"#,
    "{ \"clients\": {\n\n \"demo\": { \"scopes\": [], \"instances\": [] },\n \"d\\u0065mo\": {} } }",
    #"{ "clients": { "demo": { "scopes": [1], "instances": "x", "scopes": [] } "#,
    "{ \"clients\": {\n \"de\u{1}mo\": {} } }", "",
  ])
  func `a large file has the findings of a small one`(clients: String) throws {
    let small = try FolderFiles(["clients.json": clients]).load()
    let padding = String(repeating: " ", count: FileAhead.bytesMin)
    // At the beginning, so that an end of the file that comes too early is on the same line in both.
    let large = try FolderFiles(["clients.json": padding + clients]).load()
    #expect(large.findings.map(\.withoutColumn) == small.findings.map(\.withoutColumn))
    #expect((large.policy == nil) == (small.policy == nil))
    #expect(large.policy?.clients.count == small.policy?.clients.count)
  }

  @Test func `a large file is read ahead, and its digest is that of its bytes`() throws {
    let text = FolderFiles.clients + String(repeating: "\n", count: FileAhead.bytesMin)
    try FolderFiles(["clients.json": text]).withFolder { folder in
      let ahead = FolderReading(folder)
      ahead.readAhead("clients.json")
      let path = "\(folder.path)/clients.json"
      #expect(try ahead.content(path, byteCountMax: JSONReader.byteCountMax).bytes == Array(text.utf8))
      let alone = FolderReading(folder)
      _ = try alone.content(path, byteCountMax: JSONReader.byteCountMax)
      #expect(ahead.digest(of: "clients.json") == alone.digest(of: "clients.json"))
      #expect(ahead.stamp == alone.stamp)
    }
  }

  @Test func `a key that names a large policy file keeps the bound of keys`() throws {
    let instances = #"{ "instances": { "a": { "url": "http://127.0.0.1:1", "key": { "file": "clients.json" } } } }"#
    let text = FolderFiles.clients + String(repeating: "\n", count: FileAhead.bytesMin)
    let findings = try FolderFiles(["instances.json": instances, "clients.json": text]).load().findings
    #expect(findings.contains { $0.message.contains("is longer than 4098 bytes") }, "\(findings)")
  }

  @Test func `a file that is first read as a key has the same bytes as a policy file`() throws {
    let text = FolderFiles.clients + String(repeating: "\n", count: FileAhead.bytesMin)
    try FolderFiles(["clients.json": text]).withFolder { folder in
      let (reading, path) = (FolderReading(folder), "\(folder.path)/clients.json")
      reading.readAhead("clients.json")
      try "{}".write(toFile: path, atomically: true, encoding: .utf8)
      let bytes = try reading.content(path, byteCountMax: 4_098).bytes
      #expect(reading.parsed(path, bytes).root?.document.bytes == Array("{}".utf8))
    }
  }
}

extension Finding {
  /// The padding shifts the columns of its line.
  fileprivate var withoutColumn: String { "\(self)".replacing(/column \d+/, with: "column") }
}
