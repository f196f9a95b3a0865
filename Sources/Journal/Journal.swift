import Dispatch
import Synchronization
package import System

/// The durable journal of idempotency keys: a thread that makes claims and outcomes durable, and reads stored responses.
package final class Journal: Sendable {
  private struct Published {
    var state = JournalState()
    var segments: [JournalSegment] = []
  }

  private let folder: SharedFolder
  private let lock: JournalLock
  private let writer: UInt64
  private let keys: JournalKeys
  private let clocks: JournalClocks
  private let channels = Mutex<[JournalChannel]>([])
  private let published = Mutex(Published())
  private let isClosing = Atomic<Bool>(false)
  private let isStopping = Atomic<Bool>(false)
  private let finished = DispatchSemaphore(value: 0)
  /// One after the other: while a disk hangs, operators who ask again must not add threads.
  private let lists = DispatchQueue(label: "journal-list")
  private let listCount = Atomic<Int>(0)
  private static let listsMax = 4

  /// The interval between attempts to create a segment while there is none.
  private static let recoverySeconds = 1.0
  private static let idleSeconds = 60.0
  /// Half of the disk's time. A keyed write waits for the audit thread as well: with the audit thread's patience, it takes
  /// a sixth more CPU time and a quarter longer. Without gathering, it takes a third more CPU time and a quarter longer
  /// with 64 connections.
  private static let patienceMax: Int64 = 4

  /// Locks the folder, reads its segments, creates a new one, and starts the thread.
  ///
  /// - Parameter report: called on the journal's thread, and during this call, with faults and warnings.
  package convenience init(
    _ settings: JournalSettings, report: @escaping @Sendable (String) -> Void
  ) throws(JournalFault) {
    try self.init(
      settings, lock: try JournalLock(settings.folder), inherited: nil, clocks: JournalClocks(),
      faults: JournalFaults(), report: report)
  }

  /// The same for a process that takes the place of another one, which still has requests in flight. It accepts no claims
  /// before `takeOver`.
  ///
  /// - Parameters:
  ///   - lock: a duplicate of the other process's `lockNumber`.
  ///   - keys: called once the lock is known to be the folder's: the other process's keys in flight. Claims of them are in
  ///     progress until it has written their outcome. Nil: it has ended.
  package convenience init(
    _ settings: JournalSettings, lock: consuming FileDescriptor, keys: () throws(JournalFault) -> InheritedKeys?,
    report: @escaping @Sendable (String) -> Void
  ) throws(JournalFault) {
    let lock = try JournalLock(settings.folder, inherited: lock)
    try self.init(
      settings, lock: lock, inherited: try keys(), clocks: JournalClocks(), faults: JournalFaults(), report: report)
  }

  init(
    _ settings: JournalSettings, lock: JournalLock, inherited: InheritedKeys?, clocks: JournalClocks,
    faults: JournalFaults, report: @escaping @Sendable (String) -> Void
  ) throws(JournalFault) {
    let replay = try JournalReplay(lock.folder, inherited: inherited, report: report)
    if replay.segments.isEmpty {
      report(
        "idempotency: \(lock.folder.path) has no keys: right for a new gateway; otherwise, its disk is not mounted or its "
          + "files were moved, and repeats of earlier writes are executed again")
    }
    var table = JournalTable(settings)
    table.index = replay.index
    table.scopes = replay.scopes
    table.inherited = replay.inherited?.keys ?? [:]
    table.hasParent = inherited != nil
    table.isHandedOver = inherited != nil
    let writer: JournalWriter
    do throws(Errno) {
      writer = try JournalWriter(
        folder: lock.folder, after: replay, clocks: clocks, faults: faults, report: report)
    } catch {
      throw .folder(settings.folder, error)
    }
    table.diskBytes = writer.diskBytes
    folder = lock.folder
    keys = JournalKeys(table)
    self.clocks = clocks
    let parent = inherited.map { inherited in
      JournalParent(writer: inherited.writer, keyCount: inherited.count, offsets: replay.parentOffsets)
    }
    let worker = JournalWorker(
      keys: keys, writer: writer, parent: parent, ttlSeconds: settings.ttlSeconds, report: report)
    self.lock = lock
    self.writer = writer.writer
    let handed = Handoff(worker)
    publish(worker)
    startThread(named: "journal") { [self] in run(handed.take()) }
  }

  /// Makes a loop's channel to this journal.
  ///
  /// - Parameter wakeLoop: called on the journal's thread when there are results.
  package func makeChannel(wakeLoop: @escaping @Sendable () -> Void) -> JournalChannel {
    channels.withLock { channels in
      let channel = JournalChannel(number: channels.count, keys: keys, clocks: clocks, wakeLoop: wakeLoop)
      channels.append(channel)
      return channel
    }
  }

  /// Uses new limits; the folder and the TTL stay as they are.
  package func apply(_ settings: JournalSettings) {
    keys.withLock { table in
      table.settings.keysMax = settings.keysMax
      table.settings.keysPerClientMax = settings.keysPerClientMax
      table.settings.diskBytesMax = settings.diskBytesMax
    }
    keys.wakeUp()
  }

  /// The current state; callable on any thread.
  package var state: JournalState {
    let state = published.withLock { $0.state }
    return keys.withLock { table in
      var state = state
      state.keys = table.keyCount
      // While the process before this one runs, the index has its keys in flight as unknown.
      state.inFlight = table.inFlight.count + table.inherited.count
      state.unknown = max(0, table.index.count(.unknown) - (table.hasParent ? table.inherited.count : 0))
      state.diskBytes = table.diskBytes
      state.keysPercent = JournalWarnings.percent(table.keyCount, table.settings.keysMax)
      state.diskPercent = JournalWarnings.percent(table.diskBytes, table.settings.diskBytesMax)
      let clientKeys = table.scopes.clients.map(\.keys).max() ?? 0
      state.clientPercent = JournalWarnings.percent(clientKeys, table.settings.keysPerClientMax)
      state.canWrite = table.canWrite
      state.queueDepth = table.work.depth
      return state
    }
  }

  /// Makes the remaining outcomes durable; false if this took too long. Call it after the loops have ended. Keys without
  /// an outcome are unknown to the next process.
  @discardableResult
  package func close(within seconds: Double = 5) -> Bool {
    keys.withLock { $0.isClosed = true }
    isClosing.store(true, ordering: .releasing)
    keys.wakeUp()
    return finished.wait(timeout: .now() + seconds) == .success
  }

  // MARK: Operators

  /// Lists keys of a client and an instance, of all if nil, in the order in which they were recorded.
  ///
  /// - Parameters:
  ///   - states: all except `unreadable`, which shows only when a record is read.
  ///   - completion: called on another thread, with at most `limit` keys, and whether these are all.
  /// - Returns: false if too many lists are being made; then there is no completion.
  package func list(
    client: String?, instance: String?, states: Set<JournalKey.State>, limit: Int,
    completion: @escaping @Sendable ([JournalKey], _ isComplete: Bool) -> Void
  ) -> Bool {
    guard listCount.add(1, ordering: .relaxed).newValue <= Self.listsMax else {
      listCount.subtract(1, ordering: .relaxed)
      return false
    }
    let list = JournalList(client: client, instance: instance, states: states, limit: max(0, limit))
    lists.async { [self] in
      let segments = published.withLock { $0.segments }
      let (found, isComplete) = list.run(keys, segments, folder)
      completion(found, isComplete)
      listCount.subtract(1, ordering: .relaxed)
    }
    return true
  }

  /// Whether the outcome of this key is unknown; callable on any thread.
  package func isUnknown(_ write: KeyedWrite) -> Bool {
    let digest = write.digest
    return keys.withLock { table in table.index[table.index.name(of: digest)]?.state == .unknown }
  }

  /// Stores what Core's record shows about an unknown write, so that repeats get it; callable on any thread. If it is not
  /// stored, the key stays unknown.
  ///
  /// - Parameter completion: called with whether a response is durable, on the journal's thread or on this one.
  package func reconcile(
    _ write: KeyedWrite, _ response: StoredResponse, completion: @escaping @Sendable (Bool) -> Void
  ) {
    if !keys.addWork({ table in table.reconcile(write, response, completion) }) { completion(false) }
  }

  /// - Parameter completion: called on the journal's thread, as in the following functions.
  package func show(
    client: String, instance: String, key: String, completion: @escaping @Sendable (ShowResult) -> Void
  ) {
    command(.show(client: client, instance: instance, key: key, completion)) { completion(.unavailable) }
  }

  /// Resolves an unknown key, durably.
  ///
  /// - Parameters:
  ///   - minimumAge: in seconds, for `notDone` only: a younger request may still be executed.
  ///   - isTrial: only says what the result would be.
  package func resolve(
    client: String, instance: String, key: String, as resolution: KeyResolution, minimumAge: Int,
    isTrial: Bool = false, completion: @escaping @Sendable (ResolveResult) -> Void
  ) {
    let command = JournalCommand.resolve(
      client: client, instance: instance, key: key, resolution, minimumAgeSeconds: minimumAge, isTrial: isTrial,
      completion)
    self.command(command) { completion(.failed) }
  }

  /// Frees a key that is not in flight, durably. A repeated request with it is executed again.
  ///
  /// - Parameters:
  ///   - minimumAge: in seconds, of a key of unknown outcome: a younger request may still be executed.
  ///   - isTrial: only says what the result would be.
  package func forget(
    client: String, instance: String, key: String, minimumAge: Int, isTrial: Bool = false,
    completion: @escaping @Sendable (ForgetResult) -> Void
  ) {
    let command = JournalCommand.forget(
      client: client, instance: instance, key: key, minimumAgeSeconds: minimumAge, isTrial: isTrial, completion)
    self.command(command) { completion(.failed) }
  }

  /// Frees all keys of an instance that are not in flight, durably: after its Core was restored from a backup. Keeps keys of
  /// unknown outcome that are younger than `minimumAge` seconds.
  package func forget(
    instance: String, minimumAge: Int, completion: @escaping @Sendable (ForgetResult) -> Void
  ) {
    command(.forgetInstance(instance, minimumAgeSeconds: minimumAge, completion)) { completion(.failed) }
  }

  private func command(_ command: JournalCommand, isClosed: () -> Void) {
    let isAccepted = keys.addWork { table in
      let isAccepted = !table.isClosed && !table.isHandedOver
      if isAccepted { table.work.commands.append(command) }
      return isAccepted
    }
    if !isAccepted { isClosed() }
  }

  // MARK: Upgrades

  /// The descriptor of the folder's lock, for a newer process; nil if the journal is closed.
  package var lockNumber: Int32? { lock.number }

  /// Whether the process that handed over to this one is running. Until it has ended, this one cannot hand over.
  package var hasPredecessor: Bool { keys.withLock { $0.hasParent } }

  /// Stops accepting claims of unseen keys, which a newer process takes from now on. Known keys still answer, outcomes are
  /// still recorded, and operators' changes fail. Every claim that was accepted before is on disk, or has failed.
  ///
  /// Call it again only after that process has ended, and `takeBack`.
  ///
  /// - Returns: the keys in flight; nil if the thread does not respond in time, the journal is closed, or the process before
  ///   this one has not ended: nothing has changed then.
  package func handOver(within seconds: Double = 5) -> InheritedKeys? {
    let reached = DispatchSemaphore(value: 0)
    let before: Bool? = keys.addWork { table in
      guard !table.isClosed, !table.hasParent else { return nil }
      let before = table.isHandedOver
      table.isHandedOver = true
      table.work.commands.append(.barrier { reached.signal() })
      return before
    }
    guard let before else { return nil }
    guard reached.wait(timeout: .now() + seconds) == .success else {
      keys.withLock { $0.isHandedOver = before }
      return nil
    }
    let inFlight = keys.withLock { table in
      table.inFlight.mapValues { InheritedKeys.Key($0.write) }.merging(table.inherited) { own, _ in own }
    }
    return InheritedKeys(writer: writer, inFlight)
  }

  /// Accepts claims again, after the newer process has ended without taking over.
  ///
  /// - Returns: false if that process may have recorded keys: this one accepts no claims, but can hand over again.
  package func takeBack() -> Bool {
    guard keys.withLock({ $0.isHandedOver }) else { return true }
    guard let names = try? folder.entries() else { return false }
    let segments = published.withLock { $0.segments }
    let known = Set(segments.map(\.keysName))
    for name in names where name.hasSuffix(".keys") && !known.contains(name) && !isWithoutForeignRecords(name) {
      return false
    }
    keys.withLock { $0.isHandedOver = false }
    return true
  }

  /// Whether a segment has no records, or is this process's, which may just have made it.
  private func isWithoutForeignRecords(_ name: String) -> Bool {
    guard let file = try? InputFile.regular(path: folder.path(of: name)),
      let start = try? file.read(SegmentHeader.byteCount + 1, at: 0)
    else { return false }
    return start.count <= SegmentHeader.byteCount || (try? SegmentHeader(start.span))?.writer == writer
  }

  /// Accepts claims: the process before this one, which has handed over, knows that this one serves.
  package func takeOver() { keys.withLock { $0.isHandedOver = false } }

  /// The process that handed over to this one has ended: its keys without an outcome are unknown.
  package func predecessorEnded() {
    keys.addWork { table in table.work.commands.append(.parentEnded) }
  }

  // MARK: The thread

  private func run(_ handed: consuming JournalWorker) {
    var worker = handed
    var warnings = JournalWarnings()
    var pace = BatchPace(patienceMax: Self.patienceMax)
    var work = JournalWork()
    var recoversAt: Int64 = 0
    var isLast = false
    while !isLast {
      if !isClosing.load(ordering: .acquiring) { waitForWork(worker, &pace) }
      guard !isStopping.load(ordering: .acquiring) else { break }
      isLast = isClosing.load(ordering: .acquiring)
      if !worker.writer.canWrite, isLast || SystemClock.nanoseconds >= recoversAt {
        worker.writer.recover()
        recoversAt = SystemClock.nanoseconds + Int64(Self.recoverySeconds * 1e9)
      }
      turn(&work, &worker, &pace)
      warn(&warnings, worker)
    }
    worker.removeRetired()
    if isLast { worker.writer.close() }
    lock.release()
    finished.signal()
  }

  private func waitForWork(_ worker: JournalWorker, _ pace: inout BatchPace) {
    guard let writes = keys.wait(for: 1, atMost: waitSeconds(worker)), writes > 0 else { return }
    guard writes < pace.expected else { return pace.gathered(writes) }
    if let gathered = keys.wait(for: pace.expected, atMost: Double(pace.nanoseconds) / 1e9) { pace.gathered(gathered) }
  }

  private func waitSeconds(_ worker: JournalWorker) -> Double {
    worker.writer.canWrite && worker.retired.isEmpty ? Self.idleSeconds : Self.recoverySeconds
  }

  /// - Parameter work: empty, before and after.
  private func turn(_ work: inout JournalWork, _ worker: inout JournalWorker, _ pace: inout BatchPace) {
    keys.take(&work)
    let begin = SystemClock.nanoseconds
    let results = worker.commit(work.writes)
    publish(worker)
    complete(results)
    if !work.writes.isEmpty {
      pace.wrote(work.writes.count, waiting: keys.writes, in: SystemClock.nanoseconds - begin)
    }
    if work.mustFollowParent { worker.followParent() }
    complete(worker.answer(work.reads))
    let completions = work.commands.map { worker.perform($0) }
    worker.removeRetired()
    worker.expireIfDue()
    work.removeAll()
    publish(worker)
    for completion in completions { completion() }
  }

  private func complete(_ results: [JournalWorker.Completion]) {
    guard !results.isEmpty else { return }
    let channels = channels.withLock { $0 }
    var completions = [[CompletionQueue<JournalResult>.Completion]](repeating: [], count: channels.count)
    for result in results {
      completions[result.waiter.channel].append(CompletionQueue.Completion(result.waiter.ticket, result.result))
    }
    for (channel, completions) in zip(channels, completions) { channel.completions.complete(completions) }
  }

  private func publish(_ worker: JournalWorker) {
    let writer = worker.writer
    keys.withLock { table in
      table.canWrite = writer.canWrite
      table.diskBytes = writer.diskBytes
    }
    published.withLock { published in
      published.state.segments = writer.segments.count
      published.state.synchronizations = writer.synchronizations
      published.state.failures = writer.failures
      published.state.lastFault = writer.lastFault
      published.segments = writer.segments
    }
  }

  private func warn(_ warnings: inout JournalWarnings, _ worker: JournalWorker) {
    let (next, texts) = keys.withLock { [warnings] table in
      var next = warnings
      let texts = next.update(&table)
      return (next, texts)
    }
    warnings = next
    for text in texts { worker.report(text) }
  }

  // MARK: Tests

  /// Ends the thread without writing anything more, as a crash does, and releases the lock.
  func stop() {
    isStopping.store(true, ordering: .releasing)
    keys.wakeUp()
    finished.wait()
  }

  /// Makes the thread do a turn.
  func wakeUp() { keys.wakeUp() }

  var indexBytes: Int { keys.withLock { $0.index.slotBytes } }
}
