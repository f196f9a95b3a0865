import Dispatch
import Foundation
import OAuth
import Synchronization
import System
import TestFolders
import TestSupport
import Testing

@testable import Gateway
@testable import Policies

/// What loops learn about revocations, whatever the clock says.
@Suite(.timeLimit(.minutes(10))) struct GrantRegistryTests {
  /// A registry whose wall clock can be set, and what it has told the loops.
  private final class Stage: Sendable {
    let registry: GrantRegistry
    private let clock: Clock
    private let seen: Changes

    /// - Parameter ahead: how much the clock is (seconds).
    init(_ folder: String?, ahead: Int64 = 0) throws {
      let (clock, changes) = (Clock(ahead), Changes())
      self.clock = clock
      self.seen = changes
      registry = GrantRegistry(
        wall: { clock.seconds }, announce: { change in changes.all.withLock { $0.append(change) } }, report: { _ in })
      #expect(registry.apply(folder.map(GrantRegistryTests.settings)) == [])
    }

    deinit { registry.stop() }

    private final class Clock: Sendable {
      let ahead: Mutex<Int64>
      init(_ seconds: Int64) { ahead = Mutex(seconds) }
      var seconds: Int64 { SystemClock.wallSeconds + ahead.withLock { $0 } }
    }

    private final class Changes: Sendable { let all = Mutex<[GrantRegistry.Change]>([]) }

    func setClock(ahead seconds: Int64) { clock.ahead.withLock { $0 = seconds } }

    /// Lets some polls pass.
    func poll() { Thread.sleep(forTimeInterval: 2.5) }

    var revoked: [[TokenID]] {
      seen.all.withLock { changes in changes.compactMap { if case .revoked(let ids) = $0 { ids } else { nil } } }
    }

    var forgotten: Set<TokenID> {
      seen.all.withLock { changes in
        let lists: [[TokenID]] = changes.compactMap { if case .forgotten(let ids) = $0 { ids } else { nil } }
        return Set(lists.joined())
      }
    }

    func revoke(_ id: TokenID, for seconds: Int64 = 3_600) throws {
      let stored = DispatchSemaphore(value: 0)
      let verdict = registry.revoke(id, until: now + seconds, .client("app")) { isStored in
        #expect(isStored)
        stored.signal()
      }
      guard verdict == .waits else { return }
      #expect(stored.wait(timeout: .now() + .seconds(TestSocket.patience)) == .success)
    }

    var now: Int64 { clock.seconds }
  }

  private static func settings(_ folder: String) -> OAuthSettings {
    let issuer = "https://gateway.example"
    let key = TokenKey(name: "k1", secret: [UInt8](repeating: 1, count: 32).span)
    var settings = OAuthSettings(
      issuer: issuer, audience: issuer, authority: TokenAuthority(issuer: issuer, audience: issuer, keys: [key]))
    settings.revocationsFolder = folder
    return settings
  }

  private static func id() -> TokenID {
    .random()
  }

  private static func ids(in folder: TemporaryFolder) throws -> Set<TokenID> {
    try #require(RevocationLists(folder.path).ids)
  }

  private static func write(_ entries: [TokenID: Int64], to name: String, in folder: TemporaryFolder) throws {
    try folder.write(String(decoding: RevocationList(entries: entries).json, as: UTF8.self), to: name)
  }

  @Test func `a loop learns each revoked id once, and only what is new`() throws {
    try withTemporaryFolder { folder in
      let ids = (0..<4).map { _ in Self.id() }
      try Self.write([ids[0]: .init(1 << 32)], to: "other.json", in: folder)
      let stage = try Stage(folder.path)
      #expect(stage.revoked == [[ids[0]]])
      for _ in 0..<5 {
        for id in ids[0...1] { try stage.revoke(id) }
      }
      #expect(stage.revoked == [[ids[0]], [ids[1]]])
      try Self.write([ids[0]: 1 << 32, ids[1]: 1 << 32, ids[2]: 1 << 32], to: "other.json", in: folder)
      #expect(eventually { stage.revoked == [[ids[0]], [ids[1]], [ids[2]]] })
      try stage.revoke(ids[3])
      stage.poll()
      #expect(stage.revoked == ids.map { [$0] } && stage.forgotten.isEmpty)
    }
  }

  @Test func `a second revocation of an id writes no file`() throws {
    try withTemporaryFolder { folder in
      let stage = try Stage(folder.path)
      let id = Self.id()
      try stage.revoke(id, for: 5_000)
      let name = try #require(try folder.entries.first { $0.hasSuffix(".json") })
      let before = try FileStatus(path: folder.path(name))
      for _ in 0..<20 { try stage.revoke(id, for: 4_000) }
      #expect(try FileStatus(path: folder.path(name)) == before)
    }
  }

  @Test func `a clock that is ahead for a moment lifts nothing that other gateways have revoked`() throws {
    try withTemporaryFolder { folder in
      let stage = try Stage(folder.path)
      let (id, late) = (Self.id(), Self.id())
      try Self.write([id: stage.now + 60], to: "other.json", in: folder)
      #expect(eventually { stage.registry.isRevoked(id) })
      stage.setClock(ahead: 40 * 86_400)
      try Self.write([late: stage.now - 40 * 86_400 + 60], to: "late.json", in: folder)
      stage.poll()
      #expect(stage.registry.isRevoked(id) && stage.registry.isRevoked(late))
      stage.setClock(ahead: 0)
      stage.poll()
      #expect(stage.registry.isRevoked(id) && stage.registry.isRevoked(late) && stage.forgotten.isEmpty)
      #expect(Set(try folder.entries) == ["codes", "other.json", "late.json"])
    }
  }

  @Test func `a clock that is ahead while others are revoked lifts nothing that this gateway has revoked`() throws {
    try withTemporaryFolder { folder in
      let stage = try Stage(folder.path)
      let ids = (0..<3).map { _ in Self.id() }
      try stage.revoke(ids[0], for: 60)
      stage.setClock(ahead: 10 * 86_400)
      try stage.revoke(ids[1], for: 60)
      stage.poll()
      stage.setClock(ahead: 0)
      try stage.revoke(ids[2], for: 60)
      stage.poll()
      #expect(ids.allSatisfy { stage.registry.isRevoked($0) })
      #expect(try Self.ids(in: folder) == Set(ids))
    }
  }

  @Test func `a gateway that starts with a clock that is ahead knows all revocations once it is right`() throws {
    try withTemporaryFolder { folder in
      let id = Self.id()
      try Self.write([id: SystemClock.wallSeconds + 60], to: "other.json", in: folder)
      let stage = try Stage(folder.path, ahead: 40 * 86_400)
      stage.poll()
      stage.setClock(ahead: 0)
      #expect(eventually { stage.registry.isRevoked(id) })
      #expect(try folder.entries.contains("other.json"))
    }
  }

  @Test func `forgets what expired more than two days ago, and keeps the files of others`() throws {
    try withTemporaryFolder { folder in
      // Without a folder at first, so that all of them are there at the first poll.
      let stage = try Stage(nil)
      let (old, recent) = (Self.id(), Self.id())
      try stage.revoke(old, for: -172_900)
      try stage.revoke(recent, for: -172_700)
      #expect(stage.registry.isRevoked(old) && stage.registry.isRevoked(recent))
      try Self.write([Self.id(): stage.now - 172_900], to: "other.json", in: folder)
      #expect(stage.registry.apply(Self.settings(folder.path)) == [])
      stage.poll()
      #expect(stage.forgotten == [old] && !stage.registry.isRevoked(old) && stage.registry.isRevoked(recent))
      #expect(stage.revoked == [[old], [recent]])
      #expect(try folder.entries.contains("other.json"))
    }
  }

  @Test func `a file that someone has removed is written again`() throws {
    try withTemporaryFolder { folder in
      let stage = try Stage(folder.path)
      let id = Self.id()
      try stage.revoke(id)
      let name = try #require(try folder.entries.first { $0.hasSuffix(".json") })
      try FileManager.default.removeItem(atPath: folder.path(name))
      let isBack = try eventually { try Self.ids(in: folder) == [id] }
      #expect(isBack)
    }
  }

  @Test func `a token expires late rather than early if a clock is wrong`() throws {
    let stage = try Stage(nil)
    let now = stage.now
    #expect((now...now + 5).contains(stage.registry.confirmedNow))
    stage.setClock(ahead: 86_400)
    #expect((now...now + 5).contains(stage.registry.confirmedNow))
    stage.setClock(ahead: -86_400)
    #expect((now - 86_400...now - 86_395).contains(stage.registry.confirmedNow))
  }

  @Test func `without a folder, a code from before the start, or that may be, is refused`() throws {
    let stage = try Stage(nil)
    let now = stage.now
    for issuedAt in [now - 1, now, now + 10] {
      #expect(throws: OAuthError.self) {
        try stage.registry.redeem(Self.id(), issuedAt: issuedAt, expiresAt: issuedAt + 60)
      }
    }
    let code = Self.id()
    #expect(try stage.registry.redeem(code, issuedAt: now + 12, expiresAt: now + 72))
    #expect(try !stage.registry.redeem(code, issuedAt: now + 12, expiresAt: now + 72))
    // A successor that starts now, or takes over later, does not know the code.
    let successor = try Stage(nil)
    successor.registry.tookOver(now: now + 2)
    #expect(throws: OAuthError.self) {
      try successor.registry.redeem(code, issuedAt: now + 12, expiresAt: now + 72)
    }
    #expect(try successor.registry.redeem(code, issuedAt: now + 13, expiresAt: now + 73))
  }

  @Test(arguments: [true, false])
  func `after its folder was changed, a code that may be in the old one is refused`(isRemoved: Bool) throws {
    try withTemporaryFolder { folder in
      let stage = try Stage(folder.path)
      let now = stage.now
      func redeem(_ issuedAt: Int64) throws -> Bool {
        try stage.registry.redeem(Self.id(), issuedAt: issuedAt, expiresAt: issuedAt + 60)
      }
      #expect(try redeem(now - 100))
      stage.registry.tookOver(now: now)
      #expect(try redeem(now))
      stage.setClock(ahead: 20)
      #expect(stage.registry.apply(isRemoved ? nil : Self.settings(folder.path + "/other")) == [])
      #expect(throws: OAuthError.self) { _ = try redeem(now + 12) }
      #expect(try redeem(stage.now + 12))
    }
  }

  @Test func `a code is not settled in another folder than it was redeemed for`() throws {
    try withTemporaryFolder { folder in
      let stage = try Stage(folder.path)
      let code = Self.id()
      #expect(try stage.registry.redeem(code, issuedAt: stage.now, expiresAt: stage.now + 60))
      #expect(stage.registry.apply(Self.settings(folder.path + "/other")) == [])
      let settled = DispatchSemaphore(value: 0)
      stage.registry.settle(code: code) { result in
        #expect(result == .failed)
        settled.signal()
      }
      #expect(settled.wait(timeout: .now() + .seconds(TestSocket.patience)) == .success)
    }
  }

  @Test func `a folder that is new at a reload knows no codes from before the start`() throws {
    try withTemporaryFolder { folder in
      let stage = try Stage(nil)
      let now = stage.now
      #expect(stage.registry.apply(Self.settings(folder.path)) == [])
      #expect(throws: OAuthError.self) {
        _ = try stage.registry.redeem(Self.id(), issuedAt: now, expiresAt: now + 60)
      }
      #expect(try stage.registry.redeem(Self.id(), issuedAt: now + 12, expiresAt: now + 72))
    }
  }

  @Test func `another folder that cannot be read changes nothing`() throws {
    try withTemporaryFolder { folder in
      let stage = try Stage(folder.path("one"))
      try folder.write("", to: "file")
      #expect(stage.registry.apply(Self.settings(folder.path("file"))).first?.contains("cannot use") == true)
      try folder.makeFolder("two")
      let (known, other) = (Self.id(), Self.id())
      let absurd = #"{"id":"\#(other.hex)","expires":9223372036854775807}"#
      let good = #"{"id":"\#(known.hex)","expires":4102444800}"#
      try folder.write("{\"revoked\":[\(absurd),\(good)]}", to: "two/bad.json")
      let faults = stage.registry.apply(Self.settings(folder.path("two")))
      #expect(faults.count == 1 && faults[0].contains("1 of its entries have an \"expires\""), "\(faults)")
      #expect(!stage.registry.isRevoked(known))
      let id = Self.id()
      try stage.revoke(id)
      #expect(RevocationLists(folder.path("one")).ids == [id] && stage.registry.hasFolder)
    }
  }

  @Test func `what is readable in a damaged file of another gateway is in force`() throws {
    try withTemporaryFolder { folder in
      let stage = try Stage(folder.path)
      let (known, other) = (Self.id(), Self.id())
      let entries = [
        (other, "9223372036854775807"), (other, "-1"), (other, "99999999999999999999"), (known, "4102444800"),
      ]
      let list = entries.map { #"{"id":"\#($0.0.hex)","expires":\#($0.1)}"# }.joined(separator: ",")
      try folder.write("{\"revoked\":[\(list)]}", to: "bad.json")
      #expect(eventually { stage.registry.isRevoked(known) })
      #expect(!stage.registry.isRevoked(other))
      stage.poll()
    }
  }
}
