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
    .random()
  }

  @Test func `removes the mark of a used code after a day, once it was seen for an hour`() throws {
    try withTemporaryFolder { folder in
      let shared = try RevocationFolder(folder.path)
      let code = Self.id()
      #expect(try shared.redeem(code))
      try folder.write("", to: "codes/other")
      let madeAt = try FileStatus(path: folder.path("codes/\(code.hex)")).modifiedAt
      var seen: [String: Int64] = [:]
      // The wall clock may be wrong for less than an hour.
      for (now, boot) in [(madeAt + 40 * 86_400, 100), (madeAt + 40 * 86_400, 3_699), (madeAt + 86_400, 9_000)]
        as [(Int64, Int64)]
      {
        shared.removeOld(now: now, boot: boot, firstSeen: &seen)
        #expect(try !shared.redeem(code) && seen.count == 1)
      }
      shared.removeOld(now: madeAt + 86_401, boot: 9_001, firstSeen: &seen)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("codes")) == ["other"])
      shared.removeOld(now: madeAt + 86_401, boot: 9_001, firstSeen: &seen)
      #expect(seen.isEmpty)
    }
  }

  @Test func `removes what a killed writer has left behind, and no list`() throws {
    try withTemporaryFolder { folder in
      let shared = try RevocationFolder(folder.path)
      try shared.write([Self.id(): 0], number: 1)
      for name in [".vm-1.json.42.tmp", "old.json", ".hidden.json"] { try folder.write("{\"revoked\":[]}", to: name) }
      let all = Set(try folder.entries)
      let now = try FileStatus(path: folder.path("old.json")).modifiedAt
      var seen: [String: Int64] = [:]
      for (days, boot) in [(400, 0), (400, 3_599), (0, 9_000)] as [(Int64, Int64)] {
        shared.removeOld(now: now + days * 86_400, boot: boot, firstSeen: &seen)
        #expect(Set(try folder.entries) == all)
      }
      shared.removeOld(now: now + 400 * 86_400, boot: 3_600, firstSeen: &seen)
      #expect(Set(try folder.entries) == all.subtracting([".vm-1.json.42.tmp"]))
    }
  }

  @Test func `reads the lists of others only, also what has expired`() throws {
    try withTemporaryFolder { folder in
      let (shared, other) = (try RevocationFolder(folder.path), try RevocationFolder(folder.path))
      let ids = (0..<3).map { _ in Self.id() }
      try shared.write([ids[0]: 1_000], number: 7)
      try other.write([ids[1]: 5, ids[2]: 1 << 32], number: 1)
      let reading = shared.read(seen: [:])
      #expect(reading.entries == [ids[1]: 5, ids[2]: 1 << 32] && reading.ownFiles == [7] && reading.faults.isEmpty)
      #expect(shared.read(seen: reading.seen).entries.isEmpty)
      shared.remove(number: 7)
      #expect(shared.read(seen: [:]).ownFiles.isEmpty)
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
      all.merge(try lists.read(name).entries, uniquingKeysWith: max)
    }
  }

  @Test func `revocations go along to another folder, each with its latest time`() throws {
    try withTemporaryFolder { folder in
      let registry = GrantRegistry(announce: { _ in }, report: { _ in })
      defer { registry.stop() }
      let now = Int64(Date().timeIntervalSince1970)
      let (first, second) = (Self.id(), Self.id())
      #expect(registry.apply(Self.settings(folder.path("one"))) == [])
      let stored = DispatchGroup()
      for (id, seconds) in [(first, 2_000), (first, 1_000), (second, 1_000), (second, 2_000)] as [(TokenID, Int64)] {
        stored.enter()
        let verdict = registry.revoke(id, until: now + seconds, .client("app")) { _ in stored.leave() }
        if verdict != .waits { stored.leave() }
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
