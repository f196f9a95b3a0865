import Digests
import System

/// The keys, their limits and the waiting work: what the loops and the journal's thread share under one lock.
///
/// A key is in `inFlight` from its claim to its outcome, and in `index` while it has a record and is not in flight.
struct JournalTable: Sendable {
  struct InFlight: Sendable {
    enum Phase {
      /// The claim is not on disk yet.
      case claiming
      case claimed
      /// The outcome waits for the thread.
      case recording
    }

    let write: KeyedWrite
    let scope: Int
    let wallMicroseconds: Int64
    var phase = Phase.claiming
    /// Of the claim; nil while it is not on disk.
    var location: KeyLocation?
    /// The outcome will never be known.
    var isAbandoned = false

    func isOf(_ other: KeyedWrite) -> Bool {
      write.requestIDHigh == other.requestIDHigh && write.requestIDLow == other.requestIDLow
    }
  }

  var index = KeyIndex()
  var scopes = JournalScopes()
  private(set) var inFlight: [Digest: InFlight] = [:]
  var settings: JournalSettings
  var work = JournalWork()
  /// The number of claims and outcomes that ends the thread's wait.
  var awaitedWrites = Int.max
  var diskBytes = 0
  /// Whether the thread has a segment to write to.
  var canWrite = true
  var isClosed = false
  /// Another process takes the claims: a newer one, or until `takeOver` the one before this one.
  var isHandedOver = false
  /// Whether the process that handed over to this one is running.
  var hasParent = false
  /// Its keys in flight; after its end, those whose claims could not be read.
  var inherited: [Digest: InheritedKeys.Key] = [:]

  init(_ settings: JournalSettings) { self.settings = settings }

  var keyCount: Int { index.count + inFlight.count }

  // MARK: Loops

  mutating func claim(
    _ write: KeyedWrite, _ waiter: JournalWork.Waiter, at wallMicroseconds: Int64
  ) -> ClaimResult {
    let digest = write.digest
    guard !isClosed else { return .unavailable(isKnown(digest) ? .cannotRead : .cannotWrite) }
    if let place = inFlight.index(forKey: digest) {
      return inFlight.values[place].write.fingerprint == write.fingerprint ? .inProgress : .reused
    }
    if !inherited.isEmpty, let key = inherited[digest] {
      work.mustFollowParent = true
      return key.fingerprint == write.fingerprint ? .inProgress : .reused
    }
    if let entry = index[index.name(of: digest)] {
      guard work.hasCapacityForRead else { return .unavailable(.cannotRead) }
      work.reads.append(JournalWork.Read(write: write, entry: entry, waiter: waiter))
      return .reading
    }
    guard !isHandedOver else { return .unavailable(.handedOver) }
    guard canWrite, work.hasCapacityForClaim, write.isStorable,
      let scope = scopes.number(client: write.client, instance: write.instance)
    else { return .unavailable(.cannotWrite) }
    guard keyCount < settings.keysMax else { return .unavailable(.keys) }
    guard scopes.keysOfClient(scope) < settings.keysPerClientMax else { return .unavailable(.keysOfClient) }
    guard scopes.bytesOfClient(scope) < settings.clientDiskBytesMax else { return .unavailable(.diskBytesOfClient) }
    guard diskBytes + work.claimBytes + work.outcomeBytes < settings.diskBytesMax else {
      return .unavailable(.diskBytes)
    }
    inFlight[digest] = InFlight(write: write, scope: scope, wallMicroseconds: wallMicroseconds)
    scopes.countKey(scope, 1)
    work.append(claim: write, waiter)
    return .claimed
  }

  private func isKnown(_ digest: Digest) -> Bool {
    inFlight[digest] != nil || inherited[digest] != nil || index[index.name(of: digest)] != nil
  }

  /// False if the outcome cannot be recorded: the key is then what `outcomeFailed` makes it.
  mutating func record(_ outcome: KeyedOutcome, of write: KeyedWrite, _ waiter: JournalWork.Waiter?) -> Bool {
    guard let place = place(of: write), inFlight.values[place].phase != .recording, !inFlight.values[place].isAbandoned
    else { return false }
    guard canWrite, !isClosed, work.append(outcome, of: write, waiter) else {
      outcomeFailed(outcome, of: write)
      return false
    }
    inFlight.values[place].phase = .recording
    return true
  }

  mutating func abandon(_ write: KeyedWrite) {
    guard let key = claim(of: write), key.phase != .recording else { return }
    guard key.phase == .claimed else {
      inFlight[write.digest]?.isAbandoned = true
      return
    }
    leaveUnknown(write.digest, key)
  }

  /// Where the key in flight is, if it is this write's: another request may have claimed it since. Valid until a key is
  /// added or removed.
  func place(of write: KeyedWrite) -> Dictionary<Digest, InFlight>.Index? {
    guard let place = inFlight.index(forKey: write.digest), inFlight.values[place].isOf(write) else { return nil }
    return place
  }

  private func claim(of write: KeyedWrite) -> InFlight? { place(of: write).map { inFlight.values[$0] } }

  /// Passes on what Core's record shows about an unknown write; false if there is no capacity.
  mutating func reconcile(
    _ write: KeyedWrite, _ response: StoredResponse, _ completion: @escaping @Sendable (Bool) -> Void
  ) -> Bool {
    let bytes = response.fields.count + response.body.count
    guard canWrite, !isClosed, !isHandedOver, work.commands.count < Self.reconciliationsMax,
      diskBytes + work.claimBytes + work.outcomeBytes + bytes < settings.diskBytesMax
    else { return false }
    work.commands.append(.reconcile(write, response, completion))
    return true
  }

  private static let reconciliationsMax = 64

  /// Records that the parent process wrote about a key in flight.
  mutating func apply(_ record: ParentRecord) {
    guard let key = inherited[record.digest], key.isOf(record.requestIDHigh, record.requestIDLow) else { return }
    let name = index.name(of: record.digest)
    if record.kind != .claim, record.kind != .carried { inherited[record.digest] = nil }
    guard let state = record.kind.indexState else { return remove(name) }
    if index.update(name, state, record.location) { return }
    guard let scope = scopes.number(client: record.client, instance: record.instance) else { return }
    index.set(name, KeyIndex.Entry(state: state, location: record.location, scope: scope))
    scopes.countKey(scope, 1)
  }

  // MARK: The thread

  mutating func take(_ taken: inout JournalWork) { swap(&work, &taken) }

  /// - Parameter byteCount: what the record takes on disk.
  @_optimize(speed)
  mutating func claimIsDurable(_ write: KeyedWrite, at location: KeyLocation, _ byteCount: Int) {
    guard let place = inFlight.index(forKey: write.digest) else { return }
    scopes.countBytes(inFlight.values[place].scope, in: location.segment, byteCount)
    guard inFlight.values[place].isOf(write) else { return }
    inFlight.values[place].location = location
    if inFlight.values[place].phase == .claiming { inFlight.values[place].phase = .claimed }
    if inFlight.values[place].isAbandoned { leaveUnknown(write.digest, inFlight.values[place]) }
  }

  /// The key does not count as claimed.
  mutating func claimFailed(_ write: KeyedWrite) {
    if let key = claim(of: write) { free(write.digest, key) }
  }

  /// - Parameter byteCount: what the record and its body take on disk.
  @_optimize(speed)
  mutating func outcomeIsDurable(
    _ outcome: KeyedOutcome, of write: KeyedWrite, at location: KeyLocation, _ byteCount: Int
  ) {
    guard let place = inFlight.index(forKey: write.digest) else { return }
    let scope = inFlight.values[place].scope
    scopes.countBytes(scope, in: location.segment, byteCount)
    guard inFlight.values[place].isOf(write) else { return }
    inFlight.remove(at: place)
    switch outcome {
    case .response: index.set(write.digest, .stored, location, scope)
    case .responseNotKept: index.set(write.digest, .notKept, location, scope)
    case .notSent: scopes.countKey(scope, -1)
    }
  }

  mutating func outcomeFailed(_ outcome: KeyedOutcome, of write: KeyedWrite) {
    guard let key = claim(of: write) else { return }
    switch outcome {
    case .response, .responseNotKept: leaveUnknown(write.digest, key)
    case .notSent: free(write.digest, key)
    }
  }

  /// Removes a key that is not in flight.
  mutating func remove(_ name: KeyIndex.Name) {
    if let entry = index.remove(name) { scopes.countKey(entry.scope, -1) }
  }

  /// A copy of a claim is durable at another location.
  mutating func relocate(_ digest: Digest, from old: KeyLocation, to location: KeyLocation) {
    if inFlight[digest]?.location == old { inFlight[digest]?.location = location }
    let name = index.name(of: digest)
    guard var entry = index[name], entry.state == .unknown, entry.location == old else { return }
    entry.location = location
    index.set(name, entry)
  }

  private mutating func leaveUnknown(_ digest: Digest, _ key: InFlight) {
    // Without a location, the claim failed or will fail: `claimIsDurable` follows otherwise.
    guard let location = key.location else {
      inFlight[digest]?.isAbandoned = true
      inFlight[digest]?.phase = .claiming
      return
    }
    settle(digest, key, .unknown, location)
  }

  private mutating func settle(
    _ digest: Digest, _ key: InFlight, _ state: KeyIndex.State, _ location: KeyLocation
  ) {
    inFlight[digest] = nil
    index.set(digest, state, location, key.scope)
  }

  private mutating func free(_ digest: Digest, _ key: InFlight) {
    inFlight[digest] = nil
    scopes.countKey(key.scope, -1)
  }
}
