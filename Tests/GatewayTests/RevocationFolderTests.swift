import Digests
import Dispatch
import Foundation
import OAuth
import System
import TestFolders
import TestSupport
import Testing

@testable import Gateway
@testable import Policies

/// The folder in which gateways share revocations and used codes, without a gateway.
@Suite struct RevocationFolderTests {
  private static func id() -> TokenID {
    var generator = SystemRandomNumberGenerator()
    return TokenID(using: &generator)
  }

  private static func write(_ entries: [TokenID: Int64], to name: String, in folder: TemporaryFolder) throws {
    try folder.write(String(decoding: RevocationList(entries: entries).json, as: UTF8.self), to: name)
  }

  @Test func `removes a file of another process an hour after its last entry has expired`() throws {
    try withTemporaryFolder { folder in
      let shared = try RevocationFolder(folder.path)
      try shared.write([Self.id(): 1_000])
      let own = try #require(try folder.entries.first { $0.hasSuffix(".json") })
      try Self.write([Self.id(): 1_000, Self.id(): 500], to: "old.json", in: folder)
      try Self.write([Self.id(): 1_000, Self.id(): 5_000], to: "mixed.json", in: folder)
      try Self.write([:], to: "empty.json", in: folder)
      try folder.write("{", to: "damaged.json")
      let all = Set(try folder.entries)
      shared.removeOld(now: 1_000 + 3_600)
      #expect(Set(try folder.entries) == all)
      shared.removeOld(now: 1_000 + 3_601)
      #expect(Set(try folder.entries) == all.subtracting(["old.json"]))
      shared.removeOld(now: 5_000 + 3_601)
      #expect(Set(try folder.entries) == all.subtracting(["old.json", "mixed.json"]) && all.contains(own))
    }
  }

  @Test func `removes the mark of a used code an hour after it was made`() throws {
    try withTemporaryFolder { folder in
      let shared = try RevocationFolder(folder.path)
      let code = Self.id()
      #expect(try shared.redeem(code))
      try folder.write("", to: "codes/other")
      let madeAt = try FileStatus(path: folder.path("codes/\(code.hex)")).modifiedAt
      shared.removeOld(now: madeAt + 3_600)
      #expect(try !shared.redeem(code))
      shared.removeOld(now: madeAt + 3_601)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("codes")) == ["other"])
    }
  }

  private static func settings(_ folder: String) -> OAuthSettings {
    let issuer = "https://gateway.example"
    let key = TokenKey(name: "k1", secret: [UInt8](repeating: 1, count: 32).span)
    var settings = OAuthSettings(
      issuer: issuer, audience: issuer, authority: TokenAuthority(issuer: issuer, audience: issuer, keys: [key]))
    settings.revocationsFolder = folder
    return settings
  }

  private static func entries(in folder: String) throws -> [TokenID: Int64] {
    let lists = RevocationLists(folder)
    return try (lists.names ?? []).reduce(into: [:]) { all, name in
      all.merge(try lists.read(name, lists.status(name)), uniquingKeysWith: max)
    }
  }

  @Test func `revocations go along to another folder, each with its latest time`() throws {
    try withTemporaryFolder { folder in
      let registry = GrantRegistry(now: 0, announce: { _ in }, report: { _ in })
      defer { registry.stop() }
      let now = Int64(Date().timeIntervalSince1970)
      let (first, second) = (Self.id(), Self.id())
      #expect(registry.apply(Self.settings(folder.path("one"))) == [])
      let stored = DispatchGroup()
      for (id, seconds) in [(first, 2_000), (first, 1_000), (second, 1_000), (second, 2_000)] as [(TokenID, Int64)] {
        stored.enter()
        registry.revoke(id, until: now + seconds) { _ in stored.leave() }
      }
      #expect(stored.wait(timeout: .now() + .seconds(TestSocket.patience)) == .success)
      let expected = [first: now + 2_000, second: now + 2_000]
      #expect(try Self.entries(in: folder.path("one")) == expected)
      #expect(registry.apply(Self.settings(folder.path("two"))) == [])
      let isThere = try eventually { try Self.entries(in: folder.path("two")) == expected }
      #expect(isThere && registry.isRevoked(first) && registry.isRevoked(second))
    }
  }
}
