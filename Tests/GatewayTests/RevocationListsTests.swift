import Foundation
import Glibc
import OAuth
import Policies
import TestFolders
import Testing

@testable import Gateway

/// What commands learn about revocations from the files of the gateways.
@Suite struct RevocationListsTests {
  private static let ids = (0..<3).map { _ in TokenID.random() }

  private static func write(_ entries: [TokenID: Int64], to name: String, in folder: TemporaryFolder) throws {
    try folder.write(String(decoding: RevocationList(entries: entries).json, as: UTF8.self), to: name)
  }

  @Test func `joins the files of all gateways, also what has expired`() throws {
    try withTemporaryFolder { folder in
      #expect(RevocationLists(folder.path).ids == [])
      try Self.write([Self.ids[0]: 101, Self.ids[1]: 100], to: "one.json", in: folder)
      try Self.write([Self.ids[2]: 200, Self.ids[0]: 99], to: "two.json", in: folder)
      // Neither a list: one is being written.
      try folder.write("{", to: ".three.json.1.tmp")
      try folder.write("{", to: ".four.json")
      try folder.makeFolder("codes")
      #expect(RevocationLists(folder.path).ids == Set(Self.ids))
    }
  }

  @Test(.timeLimit(.minutes(10))) func `says so if a file or the folder cannot be read`() throws {
    try withTemporaryFolder { folder in
      try Self.write([Self.ids[0]: 101], to: "one.json", in: folder)
      for text in ["", "{", "{\"revoked\":[{}]}", #"{"revoked":[{"id":"\#(Self.ids[0].hex)","expires":-1}]}"#] {
        try folder.write(text, to: "two.json")
        #expect(RevocationLists(folder.path).ids == nil)
      }
      #expect(RevocationLists(folder.path("one.json")).ids == nil)
      #expect(RevocationLists(folder.path("one.json/missing")).ids == nil)
      // Opening a pipe would wait for its writer.
      try FileManager.default.removeItem(atPath: folder.path("two.json"))
      #expect(RevocationLists(folder.path).ids == [Self.ids[0]])
      #expect(unsafe mkfifo(folder.path("two.json"), 0o600) == 0)
      #expect(RevocationLists(folder.path).ids == nil)
    }
  }

  @Test func `a gateway that has never started has revoked nothing`() throws {
    try withTemporaryFolder { folder in
      #expect(RevocationLists(folder.path("missing")).ids == [])
    }
  }
}
