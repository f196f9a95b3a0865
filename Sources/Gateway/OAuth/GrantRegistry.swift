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
    var limits = AuthenticationLimits()
    /// As reported.
    var folderFaults: Set<String> = []
  }

  private let state = Mutex(State())
  private let announce: @Sendable (Set<TokenID>) -> Void
  private let report: @Sendable (String) -> Void
  /// For files: never on a loop.
  private let queue = DispatchQueue(label: "oauth")
  private let timer: Mutex<(any DispatchSourceTimer)?>
  /// Without a shared folder it is unknown which codes were used before this process.
  private let startedAt: Int64

  private static let codesMax = 100_000
  private static let pollSeconds = 1
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
  func apply(_ settings: OAuthSettings?) {
    let path = settings?.revocationsFolder
    guard state.withLock({ $0.folderPath }) != path else { return }
    var folder: RevocationFolder?
    if let path {
      do throws(RevocationFolder.Fault) {
        folder = try RevocationFolder(path)
      } catch {
        report("oauth.revocations: \(error); no token can be revoked and no code used until this is repaired")
      }
    }
    state.withLock { state in
      state.folderPath = path
      state.folder = folder
      state.others = [:]
    }
    refresh()
    timer.withLock { timer in
      timer?.cancel()
      timer = nil
      guard folder != nil else { return }
      let source = DispatchSource.makeTimerSource(queue: queue)
      source.schedule(deadline: .now() + .seconds(Self.pollSeconds), repeating: .seconds(Self.pollSeconds))
      source.setEventHandler { [weak self] in self?.refresh() }
      source.activate()
      timer = source
    }
  }

  func stop() {
    timer.withLock { timer in
      timer?.cancel()
      timer = nil
    }
  }

  /// Reads what other gateways have revoked.
  private func refresh() {
    guard let folder = state.withLock({ $0.folder }) else { return }
    let now = UnixSeconds.now.rawValue
    var faults: [String] = []
    let others = folder.read(now: now) { faults.append($0) }
    // The same fault again says nothing new.
    let news = state.withLock { state in
      defer { state.folderFaults = Set(faults) }
      return faults.filter { !state.folderFaults.contains($0) }
    }
    for fault in news { report(fault) }
    folder.removeOldCodes(now: now)
    let isChanged = state.withLock { state in
      defer { state.others = others }
      return state.others != others
    }
    if isChanged { announceAll() }
  }

  private func announceAll() {
    announce(state.withLock { Set($0.own.keys).union($0.others.keys) })
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
    queue.async { [self] in
      guard let folder = state.withLock({ $0.folder }) else { return complete(.failed("the folder cannot be used")) }
      do throws(RevocationFolder.Fault) {
        complete(try folder.redeem(code) ? .done : .codeUsed)
      } catch {
        report("oauth.revocations: \(error)")
        complete(.failed(error.description))
      }
    }
  }

  /// Revokes a token or a grant: at once on all loops of this process, and durably for the other gateways.
  ///
  /// Bound: `RevocationFolder.entriesMax` ids that have not expired.
  func revoke(_ id: TokenID, until expiry: Int64, _ complete: @escaping @Sendable (Result) -> Void) {
    let now = UnixSeconds.now.rawValue
    let hasSpace = state.withLock { state in
      if state.own.count >= RevocationFolder.entriesMax { state.own = state.own.filter { $0.value > now } }
      guard state.own.count < RevocationFolder.entriesMax || state.own[id] != nil else { return false }
      state.own[id] = max(expiry, state.own[id] ?? 0)
      return true
    }
    guard hasSpace else { return complete(.failed("the list of revocations is full")) }
    announceAll()
    queue.async { [self] in
      let (folder, entries) = state.withLock { state in
        state.own = state.own.filter { $0.value > now }
        return (state.folder, state.own)
      }
      guard let folder else { return complete(.failed("the folder cannot be used")) }
      do throws(RevocationFolder.Fault) {
        try folder.write(entries)
        complete(.done)
      } catch {
        report("oauth.revocations: \(error)")
        complete(.failed(error.description))
      }
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
