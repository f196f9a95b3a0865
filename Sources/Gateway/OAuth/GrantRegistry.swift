import Dispatch
import OAuth
import Policies
import Synchronization
import System

/// What all loops share about codes and tokens: the codes that were used, what is revoked, and failed authentications.
///
/// Requests to Core never come here: each loop has a copy of the revoked ids, and learns what is added to them.
///
/// Three queues, so that none of this work waits for the rest: one looks into the folder every second, one saves
/// revocations, one marks used codes.
final class GrantRegistry: GrantMemory, Sendable {
  /// What loops have to know about revoked tokens and grants.
  enum Change: Sendable {
    case revoked([TokenID])
    /// All tokens that these ids revoke have expired long ago.
    case forgotten([TokenID])
  }

  private struct UsedCode {
    let expiresAt: Int64
    /// Where its use is recorded.
    let folder: String?
  }

  private struct State {
    var folder: RevocationFolder?
    /// By this process.
    var own = OwnRevocations()
    /// By other processes, as their files say, with the time when each may be forgotten.
    var others: [TokenID: Int64] = [:]
    var usedCodes: [TokenID: UsedCode] = [:]
    var clock: ConfirmedClock
    /// Since when it is known which codes were used: without a folder, since this process began or took over. The folder of
    /// the start is taken to have all (least), and another one those from then on.
    var codesKnownSince: Int64
    /// Whether the first settings were applied.
    var hasSettings = false
    var limits = AuthenticationLimits()
    /// Whether the last save failed.
    var isFailing = false
    /// Whether it was reported that there is no space.
    var isFull = false
    // What the polls remember.
    var filesSeen: [String: FileStatus] = [:]
    var polls = 0
    /// As reported.
    var folderFaults: Set<String> = []
    /// Ids that may be forgotten.
    var expired: ArraySlice<TokenID> = []
    var oldFiles: [String: Int64] = [:]

    func isRevoked(_ id: TokenID) -> Bool { own.contains(id) || others[id] != nil }
  }

  private let state: Mutex<State>
  private let announcing = Mutex(())
  private let wall: @Sendable () -> Int64
  private let announce: @Sendable (Change) -> Void
  private let report: @Sendable (String) -> Void
  // For files: never on a loop.
  private let polling = DispatchQueue(label: "oauth-poll")
  private let saving = DispatchQueue(label: "oauth-save")
  private let settling = DispatchQueue(label: "oauth-code")
  /// What loops have asked to be written.
  private let writing = DispatchGroup()
  private let timer: Mutex<(any DispatchSourceTimer)?>

  private static let codesMax = 100_000
  private static let pollSeconds = 1
  /// What is old is looked for in the first poll, and then every hour.
  private static let pollsPerCleaning = 3_600
  /// Ids that change while the locks are held, and that loops forget in one poll.
  private static let changesPerLockMax = 1_000
  /// How long a revocation is kept after the last token that it revokes has expired: clocks may be wrong.
  private static let keptSeconds: Int64 = 172_800
  /// No token of a grant lives longer: the maxima of `refresh_token_s` and `access_token_s` together.
  private static let grantSecondsMax: Int64 = 31_536_000 + 86_400

  /// - Parameters:
  ///   - wall: reads the wall clock (seconds since 1970).
  ///   - announce: tells every loop what has changed.
  ///   - report: receives lines for the operator.
  init(
    wall: @escaping @Sendable () -> Int64 = { SystemClock.wallSeconds },
    announce: @escaping @Sendable (Change) -> Void, report: @escaping @Sendable (String) -> Void
  ) {
    let now = wall()
    state = Mutex(State(clock: ConfirmedClock(wall: now, boot: SystemClock.bootSeconds), codesKnownSince: now))
    self.wall = wall
    self.announce = announce
    self.report = report
    timer = Mutex(nil)
  }

  /// Takes over the settings of a policy. If they name another folder, reads that before it returns.
  ///
  /// - Returns: what of the folder cannot be read; if it is not empty, nothing has changed, because the gateway would not
  ///   know all revoked tokens.
  func apply(_ settings: OAuthSettings?) -> [String] {
    let path = settings?.revocationsFolder
    defer { state.withLock { $0.hasSettings = true } }
    guard state.withLock({ $0.folder?.path }) != path else { return [] }
    return polling.sync { apply(path) }
  }

  private func apply(_ path: String?) -> [String] {
    var folder: RevocationFolder?
    var reading = RevocationFolder.Reading()
    if let path {
      do throws(RevocationFault) {
        let new = try RevocationFolder(path)
        reading = new.read(seen: [:])
        folder = new
      } catch {
        return ["oauth.revocations: \(error)"]
      }
      guard reading.faults.isEmpty else { return reading.faults }
    }
    let now = wall()
    let startsSave = state.withLock { state in
      if !state.hasSettings {
        state.codesKnownSince = .min
      } else if state.folder != nil {
        // The codes that other gateways have used are in the old folder.
        state.codesKnownSince = max(now, state.codesKnownSince)
      }
      state.folder = folder
      state.folderFaults = []
      state.oldFiles = [:]
      // What another folder has revoked stays revoked.
      state.own.lost(state.own.storedFiles)
      return folder != nil && state.own.needsSave && state.own.claimSave()
    }
    take(reading)
    if startsSave { startSave() }
    timer.withLock { timer in
      timer?.cancel()
      timer = nil
      guard path != nil else { return }
      let source = DispatchSource.makeTimerSource(queue: polling)
      source.schedule(deadline: .now() + .seconds(Self.pollSeconds), repeating: .seconds(Self.pollSeconds))
      source.setEventHandler { [weak self] in self?.poll() }
      source.activate()
      timer = source
    }
    return []
  }

  /// The older process has left its sockets to this one; until now it may have used codes.
  func tookOver(now: Int64) {
    state.withLock { state in
      if state.codesKnownSince != .min { state.codesKnownSince = max(now, state.codesKnownSince) }
    }
  }

  /// Call it after the loops have ended and before the audit log ends: waits for what is being written, which gets its
  /// audit entries then.
  func stop(within seconds: Int = 5) {
    timer.withLock { timer in
      timer?.cancel()
      timer = nil
    }
    guard writing.wait(timeout: .now() + .seconds(seconds)) != .success else { return }
    report(
      "oauth.revocations: the folder was not written within \(seconds) s of the shutdown; the audit log does not show "
        + "whether the last codes were used and the last revocations were stored")
  }

  // MARK: Polls

  private func poll() {
    guard let folder = state.withLock({ $0.folder }) else { return }
    let (wall, boot) = (wall(), SystemClock.bootSeconds)
    let (seen, own) = state.withLock { state in
      // Entries may have been left out because of a wrong clock.
      if state.clock.read(wall: wall, boot: boot) { state.filesSeen = [:] }
      return (state.filesSeen, state.own.storedFiles)
    }
    let reading = folder.read(seen: seen)
    reportFaults(reading.faults)
    take(reading)
    keepOwnFiles(reading, own)
    clean(folder, wall: wall, boot: boot)
  }

  /// The same fault again says nothing new.
  private func reportFaults(_ faults: [String]) {
    let news = state.withLock { state in
      defer { state.folderFaults = Set(faults) }
      return faults.filter { !state.folderFaults.contains($0) }
    }
    for fault in news { report(fault) }
  }

  /// Revokes what a look into the folder has found. What a file has revoked stays revoked, even if the file can no longer
  /// be read.
  private func take(_ reading: RevocationFolder.Reading) {
    let entries = Array(reading.entries)
    // In parts, because loops may wait for the lock.
    for start in stride(from: 0, to: entries.count, by: Self.changesPerLockMax) {
      take(entries[start..<min(start + Self.changesPerLockMax, entries.count)])
    }
    state.withLock { $0.filesSeen = reading.seen }
  }

  private func take(_ entries: ArraySlice<(key: TokenID, value: Int64)>) {
    announcing.withLock { _ in
      let new = state.withLock { state in
        let limit = Self.limit(state.clock)
        var new: [TokenID] = []
        for (id, expiry) in entries where expiry >= limit {
          if !state.isRevoked(id) { new.append(id) }
          state.others[id] = max(expiry, state.others[id] ?? 0)
        }
        return new
      }
      if !new.isEmpty { announce(.revoked(new)) }
    }
  }

  /// Saves what has no file: the last save failed, or someone has removed one.
  private func keepOwnFiles(_ reading: RevocationFolder.Reading, _ expected: Set<Int>) {
    let lost = reading.isListed ? expected.subtracting(reading.ownFiles) : []
    let startsSave = state.withLock { state in
      state.own.lost(lost.intersection(state.own.storedFiles))
      return state.own.needsSave && state.own.claimSave()
    }
    if startsSave { startSave() }
  }

  /// Ids whose tokens expired before this time may be forgotten.
  private static func limit(_ clock: ConfirmedClock) -> Int64 { clock.now(boot: SystemClock.bootSeconds) - keptSeconds }

  /// Looks for what is old every hour, and forgets some of it in each poll.
  private func clean(_ folder: RevocationFolder, wall: Int64, boot: Int64) {
    let (isDue, now, firstSeen) = state.withLock { state in
      defer { state.polls += 1 }
      return (state.polls % Self.pollsPerCleaning == 0, min(wall, state.clock.now(boot: boot)), state.oldFiles)
    }
    if isDue {
      var seen = firstSeen
      folder.removeOld(now: now, boot: boot, firstSeen: &seen)
      state.withLock { state in
        state.oldFiles = seen
        let limit = Self.limit(state.clock)
        let others = state.others.filter { $0.value < limit }.map(\.key)
        state.expired = ArraySlice(Set(others).union(state.own.expired(before: limit)))
      }
    }
    forgetExpired(folder)
  }

  private func forgetExpired(_ folder: RevocationFolder) {
    let emptyFiles = announcing.withLock { _ in
      let (forgotten, emptyFiles) = state.withLock { state in
        var emptyFiles: [Int] = []
        let limit = Self.limit(state.clock)
        let ids = state.expired.prefix(Self.changesPerLockMax)
        state.expired = state.expired.dropFirst(ids.count)
        let forgotten = ids.filter { id in
          if let file = state.own.forget(id, expiredBefore: limit) { emptyFiles.append(file) }
          if let expiry = state.others[id], expiry < limit { state.others[id] = nil }
          return !state.isRevoked(id)
        }
        return (forgotten, emptyFiles)
      }
      if !forgotten.isEmpty { announce(.forgotten(forgotten)) }
      return emptyFiles
    }
    guard !emptyFiles.isEmpty else { return }
    state.withLock { $0.isFull = false }
    // After any save that is under way, so that it does not write them again.
    saving.async { for number in emptyFiles { folder.remove(number: number) } }
  }

  /// A time that has certainly come (seconds since 1970), to judge whether a token that is to be revoked has expired.
  var confirmedNow: Int64 {
    state.withLock { min(wall(), $0.clock.now(boot: SystemClock.bootSeconds)) }
  }

  // MARK: GrantMemory

  func redeem(_ code: TokenID, issuedAt: Int64, expiresAt: Int64) throws(OAuthError) -> Bool {
    enum Verdict { case first, used, full, tooOld }
    let verdict: Verdict = state.withLock { state in
      // A code may have been issued ahead of this machine's clock.
      guard issuedAt > state.codesKnownSince + VerifiedToken.clockSkewSeconds else { return .tooOld }
      if state.usedCodes[code] != nil { return .used }
      if state.usedCodes.count >= Self.codesMax {
        let now = min(wall(), state.clock.now(boot: SystemClock.bootSeconds))
        state.usedCodes = state.usedCodes.filter { $0.value.expiresAt > now - VerifiedToken.clockSkewSeconds }
      }
      guard state.usedCodes.count < Self.codesMax else { return .full }
      state.usedCodes[code] = UsedCode(expiresAt: expiresAt, folder: state.folder?.path)
      return .first
    }
    switch verdict {
    case .first: return true
    case .used: return false
    case .full: throw OAuthError(.temporarilyUnavailable, "Too many codes were used in a short time. Retry later.")
    case .tooOld:
      throw OAuthError(
        .invalidGrant,
        "The gateway cannot know whether the code was used: it is older than the gateway's last start, or than a change "
          + "of its settings, or at most \(VerifiedToken.clockSkewSeconds) s younger. Ask for another one.")
    }
  }

  func isRevoked(_ id: TokenID) -> Bool { state.withLock { $0.isRevoked(id) } }

  /// How many ids are revoked. An id that this and another process have revoked counts twice.
  var revokedCount: Int { state.withLock { $0.own.count + $0.others.count } }

  // MARK: Work that waits for files

  enum Result: Sendable {
    case done
    /// The code was used before, at another gateway or before the last start.
    case codeUsed
    case failed
  }

  /// Whether codes and revocations are written to files: then `settle` must follow `redeem`.
  var hasFolder: Bool { state.withLock { $0.folder != nil } }

  /// Makes the use of a code durable and exclusive among all gateways.
  func settle(code: TokenID, _ complete: @escaping @Sendable (Result) -> Void) {
    settling.async(group: writing) { [self] in
      do throws(RevocationFault) {
        let current = state.withLock { state in
          state.folder?.path == state.usedCodes[code]?.folder ? state.folder : nil
        }
        guard let folder = current else {
          throw RevocationFault(description: "a reload has just changed it; the app has to ask for another code")
        }
        complete(try folder.redeem(code) ? .done : .codeUsed)
      } catch {
        report("oauth.revocations: \(error)")
        // The code has given no tokens, so that it may be presented again.
        state.withLock { $0.usedCodes[code] = nil }
        complete(.failed)
      }
    }
  }

  /// Revokes a token or a grant: at once on all loops of this process, and durably for the other gateways.
  ///
  /// - Parameter complete: gets the outcome on another thread if the verdict is `.waits`.
  func revoke(
    _ id: TokenID, until expiry: Int64, _ cause: OwnRevocations.Cause,
    _ complete: @escaping OwnRevocations.Completion
  ) -> OwnRevocations.Verdict {
    let decision = announcing.withLock { _ in
      let (decision, isNew) = state.withLock { state in
        let isNew = !state.isRevoked(id)
        // Without a folder it is in force until this process ends.
        let decision = state.own.revoke(id, until: expiry, cause, isKept: state.folder != nil, complete)
        return (decision, isNew && decision.isNew)
      }
      if isNew { announce(.revoked([id])) }
      return decision
    }
    if decision.startsSave { startSave() }
    if case .refused(let refusal) = decision.verdict { reportRefusal(refusal, id, cause) }
    return decision.verdict
  }

  /// Revokes what a code gave that was used twice (RFC 6749 §4.1.2).
  func revokeGrant(
    ofUsed code: TokenID, of client: String, _ complete: @escaping OwnRevocations.Completion
  ) -> OwnRevocations.Verdict {
    revoke(code, until: wall() + Self.grantSecondsMax, .usedCode(of: client), complete)
  }

  /// The operator has to make space; overload passes.
  private func reportRefusal(_ refusal: OwnRevocations.Refusal, _ id: TokenID, _ cause: OwnRevocations.Cause) {
    guard refusal == .full || refusal == .clientFull else { return }
    let isNew = state.withLock { state in
      defer { state.isFull = true }
      return !state.isFull
    }
    guard isNew else { return }
    let remedy = "revoke by hand in revoked.json, or restart the gateway, which then starts a new list"
    switch cause {
    case .client(let client):
      report(
        "oauth.revocations: the list of revocations of this process has no space for \(client): it has "
          + "\(refusal == .full ? OwnRevocations.entriesMax : OwnRevocations.entriesPerClientMax) ids; \(remedy)")
    case .usedCode(of: let client):
      report(
        "oauth.revocations: a code of \(client) was used twice, and the list of revocations of this process has no "
          + "space: the tokens of the grant \(id.hex) are not revoked; \(remedy)")
    }
  }

  private func startSave() { saving.async(group: writing) { [self] in save() } }

  /// Writes this process's new revocations. If that fails, `poll` tries again.
  private func save() {
    let (folder, save) = state.withLock { ($0.folder, $0.own.beginSave()) }
    var fault: RevocationFault?
    do throws(RevocationFault) {
      if !save.files.isEmpty {
        guard let folder else { throw RevocationFault(description: "a reload has just removed it") }
        for (number, entries) in save.files { try folder.write(entries, number: number) }
      }
    } catch {
      fault = error
    }
    let (completions, wasFailing) = state.withLock { state in
      defer { if !save.files.isEmpty { state.isFailing = fault != nil } }
      return (state.own.ended(save, isStored: fault == nil), state.isFailing)
    }
    if let fault, !wasFailing {
      report("oauth.revocations: \(fault); revocations are in force here, and stored when this is repaired")
    } else if fault == nil, wasFailing, !save.files.isEmpty {
      report("oauth.revocations: all revocations are stored again")
    }
    for complete in completions { complete(fault == nil) }
  }

  // MARK: Authentication

  /// Counts a failed authentication.
  ///
  /// - Returns: milliseconds until the address may fail again; 0: it may.
  func authenticationFailed(_ address: PeerAddress, now: Int64) -> Int64 {
    state.withLock { $0.limits.failed(address, now: now) }
  }
}
