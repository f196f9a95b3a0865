import Dispatch
import OAuth
import Policies
import Synchronization
import System

/// What all loops share about codes and tokens: the codes that were used, what is revoked, and failed authentications.
///
/// Requests to Core never come here: each loop has a copy of the revoked ids, which it gets whenever they change.
final class GrantRegistry: GrantMemory, Sendable {
  private struct State {
    var folder: RevocationFolder?
    var folderPath: String?
    /// By this process, with the time when each may be forgotten.
    var own: [TokenID: Int64] = [:]
    /// By other processes, as their files say.
    var others: [TokenID: Int64] = [:]
    var usedCodes: [TokenID: Int64] = [:]
    /// Whether `own` has to be written again, because the last attempt failed.
    var isUnsaved = false
    var filesSeen: [String: FileStatus] = [:]
    var polls = 0
    var limits = AuthenticationLimits()
    /// As reported.
    var folderFaults: Set<String> = []
  }

  private let state = Mutex(State())
  private let announcing = Mutex(())
  private let announce: @Sendable (Set<TokenID>) -> Void
  private let report: @Sendable (String) -> Void
  /// For files: never on a loop.
  private let queue = DispatchQueue(label: "oauth")
  /// What loops have asked to be written.
  private let writing = DispatchGroup()
  private let timer: Mutex<(any DispatchSourceTimer)?>
  /// Without a shared folder it is unknown which codes were used before this process.
  private let startedAt: Int64

  private static let codesMax = 100_000
  private static let pollSeconds = 1
  /// Old files are removed in every sixtieth poll.
  private static let pollsPerCleaning = 60
  /// No token of a grant lives longer: the maxima of `refresh_token_s` and `access_token_s` together.
  static let grantSecondsMax: Int64 = 31_536_000 + 86_400

  /// - Parameters:
  ///   - announce: gives every loop the ids that are revoked now.
  ///   - report: receives lines for the operator.
  init(
    now: Int64, announce: @escaping @Sendable (Set<TokenID>) -> Void, report: @escaping @Sendable (String) -> Void
  ) {
    startedAt = now
    self.announce = announce
    self.report = report
    timer = Mutex(nil)
  }

  /// Takes over the settings of a policy; reads the folder before it returns if that is a new one.
  ///
  /// - Returns: what of the folder could not be read: it may have revoked tokens that this gateway does not know.
  @discardableResult
  func apply(_ settings: OAuthSettings?) -> [String] {
    let path = settings?.revocationsFolder
    guard state.withLock({ $0.folderPath }) != path else { return [] }
    state.withLock { state in
      state.folderPath = path
      state.folder = nil
      // What another folder has revoked stays revoked.
      state.filesSeen = [:]
      state.folderFaults = []
      state.isUnsaved = !state.own.isEmpty
    }
    let faults = refresh()
    timer.withLock { timer in
      timer?.cancel()
      timer = nil
      guard path != nil else { return }
      let source = DispatchSource.makeTimerSource(queue: queue)
      source.schedule(deadline: .now() + .seconds(Self.pollSeconds), repeating: .seconds(Self.pollSeconds))
      source.setEventHandler { [weak self] in self?.poll() }
      source.activate()
      timer = source
    }
    return faults
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

  /// On the queue.
  private func poll() {
    refresh()
    let (folder, isUnsaved, polls) = state.withLock { state in
      state.polls += 1
      return (state.folder, state.isUnsaved, state.polls)
    }
    guard let folder else { return }
    if isUnsaved, case .done = save() { report("oauth.revocations: all revocations are stored again") }
    if polls % Self.pollsPerCleaning == 0 { folder.removeOld(now: UnixSeconds.now.rawValue) }
  }

  /// Reads what other gateways have revoked. If the folder could not be used so far, tries again.
  ///
  /// - Returns: what of it could not be read.
  @discardableResult
  private func refresh() -> [String] {
    let now = UnixSeconds.now.rawValue
    var faults: [String] = []
    var others: [TokenID: Int64] = [:]
    if let folder = usableFolder(report: { faults.append($0) }) {
      var seen = state.withLock { $0.filesSeen }
      others = folder.read(now: now, seen: &seen) { faults.append($0) }
      state.withLock { $0.filesSeen = seen }
    }
    // The same fault again says nothing new.
    let news = state.withLock { state in
      defer { state.folderFaults = Set(faults) }
      return faults.filter { !state.folderFaults.contains($0) }
    }
    for fault in news { report(fault) }
    let isChanged = state.withLock { state in
      // What a file revoked stays revoked, even if the file can no longer be read.
      let all = state.others.filter { $0.value > now }.merging(others, uniquingKeysWith: max)
      defer { state.others = all }
      return state.others != all
    }
    if isChanged { announceAll() }
    return faults
  }

  private func usableFolder(report: (String) -> Void) -> RevocationFolder? {
    let (folder, path) = state.withLock { ($0.folder, $0.folderPath) }
    guard folder == nil, let path else { return folder }
    do throws(RevocationFault) {
      let folder = try RevocationFolder(path)
      state.withLock { state in
        if state.folderPath == path { state.folder = folder }
      }
      return folder
    } catch {
      report("oauth.revocations: \(error); no token can be revoked and no code used until this is repaired")
      return nil
    }
  }

  private func announceAll() {
    // One at a time: otherwise an older set could arrive after a newer one, and lift what that revoked.
    announcing.withLock { _ in announce(state.withLock { Set($0.own.keys).union($0.others.keys) }) }
  }

  // MARK: GrantMemory

  func redeem(_ code: TokenID, issuedAt: Int64, expiresAt: Int64) throws(OAuthError) -> Bool {
    let now = UnixSeconds.now.rawValue
    guard hasFolder || issuedAt >= startedAt else {
      throw OAuthError(.invalidGrant, "The code is older than the gateway's last start. Ask for another one.")
    }
    enum Verdict { case first, used, full }
    let verdict: Verdict = state.withLock { state in
      if state.usedCodes[code] != nil { return .used }
      if state.usedCodes.count >= Self.codesMax { state.usedCodes = state.usedCodes.filter { $0.value > now } }
      guard state.usedCodes.count < Self.codesMax else { return .full }
      state.usedCodes[code] = expiresAt
      return .first
    }
    switch verdict {
    case .first: return true
    case .used:
      // RFC 6749 §4.1.2: the tokens that it gave should be revoked.
      revoke(code, until: now + Self.grantSecondsMax) { _ in }
      return false
    case .full: throw OAuthError(.temporarilyUnavailable, "Too many codes were used in a short time. Retry later.")
    }
  }

  func isRevoked(_ id: TokenID) -> Bool {
    state.withLock { $0.own[id] != nil || $0.others[id] != nil }
  }

  // MARK: Work that waits for files

  enum Result: Sendable {
    case done
    /// The code was used before, at another gateway or before the last start.
    case codeUsed
    case failed(String)
  }

  /// Whether codes and revocations are written to files: then `settle` must follow `redeem`.
  var hasFolder: Bool { state.withLock { $0.folderPath != nil } }

  /// Makes the use of a code durable and exclusive among all gateways.
  func settle(code: TokenID, _ complete: @escaping @Sendable (Result) -> Void) {
    queue.async(group: writing) { [self] in
      guard let folder = state.withLock({ $0.folder }) else {
        return complete(failed(code, "the folder cannot be used"))
      }
      do throws(RevocationFault) {
        complete(try folder.redeem(code) ? .done : .codeUsed)
      } catch {
        report("oauth.revocations: \(error)")
        complete(failed(code, error.description))
      }
    }
  }

  /// The code has given no tokens, so that it may be presented again.
  private func failed(_ code: TokenID, _ reason: String) -> Result {
    state.withLock { $0.usedCodes[code] = nil }
    return .failed(reason)
  }

  /// Revokes a token or a grant: at once on all loops of this process, and durably for the other gateways.
  ///
  /// Bound: `RevocationLists.entriesMax` ids that have not expired.
  func revoke(_ id: TokenID, until expiry: Int64, _ complete: @escaping @Sendable (Result) -> Void) {
    let now = UnixSeconds.now.rawValue
    let hasSpace = state.withLock { state in
      if state.own.count >= RevocationLists.entriesMax { state.own = state.own.filter { $0.value > now } }
      guard state.own.count < RevocationLists.entriesMax || state.own[id] != nil else { return false }
      state.own[id] = max(expiry, state.own[id] ?? 0)
      return true
    }
    guard hasSpace else { return complete(.failed("the list of revocations is full")) }
    announceAll()
    queue.async(group: writing) { [self] in complete(save()) }
  }

  /// Writes this process's revocations. If that fails, `poll` tries again. On the queue.
  private func save() -> Result {
    let now = UnixSeconds.now.rawValue
    let (folder, path, entries) = state.withLock { state in
      state.own = state.own.filter { $0.value > now }
      return (state.folder, state.folderPath, state.own)
    }
    // Without a folder they are in force until this process ends.
    guard path != nil else { return .done }
    do throws(RevocationFault) {
      guard let folder else { throw RevocationFault(description: "the folder cannot be used") }
      try folder.write(entries)
      state.withLock { $0.isUnsaved = false }
      return .done
    } catch {
      let isNew = state.withLock { state in
        defer { state.isUnsaved = true }
        return !state.isUnsaved
      }
      if isNew {
        report("oauth.revocations: \(error); revocations are in force here, and stored when this is repaired")
      }
      return .failed(error.description)
    }
  }

  // MARK: Authentication

  /// Milliseconds until the caller may authenticate as this client; 0: at once.
  func wait(_ address: PeerAddress, client: String, now: Int64) -> Int64 {
    state.withLock { $0.limits.wait(address, client: client, now: now) }
  }

  func authenticationFailed(_ address: PeerAddress, client: String, isClient: Bool, now: Int64) {
    state.withLock { $0.limits.failed(address, client: client, isClient: isClient, now: now) }
  }

  func authenticationSucceeded(_ address: PeerAddress, client: String) {
    state.withLock { $0.limits.succeeded(address, client: client) }
  }
}
