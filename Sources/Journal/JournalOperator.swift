import Digests
import System

/// The commands of operators, on the journal's thread.
extension JournalWorker {
  /// Does a command, and returns the call of its completion.
  mutating func perform(_ command: JournalCommand) -> @Sendable () -> Void {
    switch command {
    case .show(let client, let instance, let key, let completion):
      let result = show(client, instance, key)
      return { completion(result) }
    case .resolve(let client, let instance, let key, let resolution, let minimumAge, let isTrial, let completion):
      let digest = KeyedWrite.digest(client: client, instance: instance, key: key)
      let result = resolve(digest, resolution, minimumAge, isTrial: isTrial)
      return { completion(result) }
    case .reconcile(let write, let response, let completion):
      let isDurable = reconcile(write, response)
      return { completion(isDurable) }
    case .forget(let client, let instance, let key, let minimumAge, let isTrial, let completion):
      let result = forget(client, instance, key, minimumAge, isTrial: isTrial)
      return { completion(result) }
    case .barrier(let completion): return completion
    case .parentEnded:
      endParent()
      return {}
    case .forgetInstance(let instance, let minimumAge, let completion):
      let result = forget(instance, minimumAge)
      return { completion(result) }
    }
  }

  private enum Place: Sendable {
    case missing
    case inFlight(JournalTable.InFlight)
    /// In flight in the process that handed over to this one; nil: its claim could not be read.
    case inherited(KeyIndex.Entry?)
    case known(KeyIndex.Entry)
  }

  private func find(_ digest: Digest) -> Place {
    keys.withLock { table in
      if let key = table.inFlight[digest] { return .inFlight(key) }
      let entry = table.index[table.index.name(of: digest)]
      if table.inherited[digest] != nil { return .inherited(entry) }
      return entry.map { .known($0) } ?? .missing
    }
  }

  private mutating func show(_ client: String, _ instance: String, _ key: String) -> ShowResult {
    let digest = KeyedWrite.digest(client: client, instance: instance, key: key)
    switch find(digest) {
    case .missing: return .missing
    case .inherited(nil): return .found(JournalKey(unreadable: client, instance, key))
    case .inFlight(let key): return .found(JournalKey(key))
    case .known(let entry): return .found(read(digest, entry))
    case .inherited(let entry?):
      var key = read(digest, entry)
      if key.state == .unknown { key.state = .inFlight }
      return .found(key)
    }
  }

  private mutating func read(_ digest: Digest, _ entry: KeyIndex.Entry) -> JournalKey {
    var reader = RecordReader(writer.folder, writer.faults)
    if let (_, stored) = record(of: digest, entry, &reader) { return JournalKey(stored) }
    return keys.withLock { table in JournalKey(unreadable: entry, table.scopes) }
  }

  // MARK: Resolve

  private mutating func resolve(
    _ digest: Digest, _ resolution: KeyResolution, _ minimumAgeSeconds: Int, isTrial: Bool
  ) -> ResolveResult {
    let entry: KeyIndex.Entry
    switch find(digest) {
    case .missing: return .missing
    case .inFlight, .inherited: return .inFlight
    case .known(let found): entry = found
    }
    guard entry.state == .unknown else { return .notUnknown }
    var reader = RecordReader(writer.folder, writer.faults)
    guard let (segment, stored) = record(of: digest, entry, &reader) else { return .unreadable }
    var new = JournalEntry(
      kind: .released, wallMicroseconds: writer.clocks.wallMicroseconds(),
      bootMicroseconds: writer.clocks.bootMicroseconds(), digest: digest, write: stored.write)
    switch resolution {
    case .done(let status): (new.kind, new.status) = (.responseNotKept, status)
    case .notDone:
      let age = ageSeconds(of: stored, in: segment)
      guard age >= minimumAgeSeconds else { return .tooYoung(ageSeconds: age) }
    }
    guard !isTrial else { return .resolved }
    guard let location = write([new])?.first else { return .failed }
    keys.withLock { table in
      let name = table.index.name(of: digest)
      if resolution == .notDone { return table.remove(name) }
      table.index.set(name, KeyIndex.Entry(state: .notKept, location: location, scope: entry.scope))
    }
    return .resolved
  }

  /// The age of a record; of one that was written before the clock was certain, what is certain.
  private mutating func ageSeconds(of stored: StoredRecord, in segment: JournalSegment) -> Int {
    writer.updateAges()
    return Int((writer.age(of: stored.record, in: segment) ?? writer.ages.elapsed) / 1_000_000)
  }

  /// Stores what Core's record shows, unless the key is not unknown any more, or is another request's.
  private mutating func reconcile(_ write: KeyedWrite, _ response: StoredResponse) -> Bool {
    let digest = write.digest
    guard case .known(let entry) = find(digest) else { return false }
    // Another repeat has asked at the same time.
    guard entry.state == .unknown else { return entry.state == .stored }
    var reader = RecordReader(writer.folder, writer.faults)
    guard let (_, stored) = record(of: digest, entry, &reader), stored.record.fingerprint == write.fingerprint,
      stored.record.requestIDHigh == response.requestIDHigh, stored.record.requestIDLow == response.requestIDLow
    else { return false }
    var new = JournalEntry(
      kind: .response, wallMicroseconds: writer.clocks.wallMicroseconds(),
      bootMicroseconds: writer.clocks.bootMicroseconds(), digest: digest, write: stored.write)
    (new.isReconstructed, new.status, new.fields) = (true, response.status, response.fields)
    let pending = JournalWriter.Pending(entry: new, body: response.body)
    guard let location = try? writer.write([pending]).first else { return false }
    keys.withLock { table in
      let entry = KeyIndex.Entry(state: .stored, location: location, scope: entry.scope)
      table.index.set(table.index.name(of: digest), entry)
    }
    return true
  }

  // MARK: Forget

  private mutating func forget(
    _ client: String, _ instance: String, _ key: String, _ minimumAgeSeconds: Int, isTrial: Bool
  ) -> ForgetResult {
    let digest = KeyedWrite.digest(client: client, instance: instance, key: key)
    switch find(digest) {
    case .missing: return .missing
    case .inFlight, .inherited: return .inFlight
    case .known(let entry):
      guard entry.state == .unknown else { break }
      var reader = RecordReader(writer.folder, writer.faults)
      guard let (segment, stored) = record(of: digest, entry, &reader) else { return .unreadable }
      let age = ageSeconds(of: stored, in: segment)
      guard age >= minimumAgeSeconds else { return .tooYoung(ageSeconds: age) }
    }
    let write = KeyedWrite(
      client: client, instance: instance, key: key, fingerprint: Digest(words: (0, 0, 0, 0)), requestIDHigh: 0,
      requestIDLow: 0)
    guard write.isStorable else { return .unreadable }
    guard !isTrial else { return .forgotten(1) }
    let entry = JournalEntry(
      kind: .forgotten, wallMicroseconds: writer.clocks.wallMicroseconds(),
      bootMicroseconds: writer.clocks.bootMicroseconds(), digest: digest, write: write)
    guard self.write([entry]) != nil else { return .failed }
    keys.withLock { table in table.remove(table.index.name(of: digest)) }
    return .forgotten(1)
  }

  /// Forgets the keys of an instance except those that may still be executed, whose claims are copied after the record of
  /// this.
  private mutating func forget(_ instance: String, _ minimumAgeSeconds: Int) -> ForgetResult {
    // The records of their outcomes are in earlier segments than this one's.
    guard keys.withLock({ !$0.hasParent || $0.inherited.isEmpty }) else { return .inFlight }
    writer.updateAges()
    let (inFlight, scopes) = keys.withLock { table in
      let scopes = table.scopes.matching(client: nil, instance: instance)
      return (table.inFlight.filter { scopes.contains($0.value.scope) }, scopes)
    }
    // The name may be any text. If no key has the instance, there is nothing to record.
    guard !scopes.isEmpty else { return .forgotten(0) }
    guard let young = youngUnknown(of: scopes, minimumAgeSeconds) else { return .unreadable }
    let carried = inFlight.compactMap { digest, key in self.carried(digest, key) } + young
    let none = Digest(words: (0, 0, 0, 0))
    let write = KeyedWrite(
      client: "", instance: instance, key: "", fingerprint: none, requestIDHigh: 0, requestIDLow: 0)
    guard write.isStorable else { return .unreadable }
    let entry = JournalEntry(
      kind: .instanceForgotten, wallMicroseconds: writer.clocks.wallMicroseconds(),
      bootMicroseconds: writer.clocks.bootMicroseconds(), digest: none, write: write)
    guard let locations = self.write([entry] + carried.map(\.entry)) else { return .failed }
    let kept = keys.withLock { table in
      for (carried, location) in zip(carried, locations.dropFirst()) {
        table.relocate(carried.entry.digest, from: carried.from, to: location)
      }
      return Set((inFlight.keys + young.map(\.entry.digest)).map { table.index.name(of: $0) })
    }
    return .forgotten(remove(scopes, except: kept), kept: young.count)
  }

  /// The claims of unknown outcome that are younger than this; nil if one cannot be read.
  private mutating func youngUnknown(of scopes: Set<Int>, _ minimumAgeSeconds: Int) -> [Carried]? {
    var reader = RecordReader(writer.folder, writer.faults)
    var young: [Carried] = []
    for shard in 0..<KeyIndex.shardCount {
      let entries = keys.withLock { table in
        var entries: [KeyIndex.Entry] = []
        table.index.forEach(inShard: shard) { _, entry in
          if entry.state == .unknown, scopes.contains(entry.scope) { entries.append(entry) }
        }
        return entries
      }
      for entry in entries {
        guard let (segment, stored) = record(of: nil, entry, &reader) else { return nil }
        guard ageSeconds(of: stored, in: segment) < minimumAgeSeconds else { continue }
        young.append(carried(stored, in: segment, from: entry.location))
      }
    }
    return young
  }

  private func remove(_ scopes: Set<Int>, except kept: Set<KeyIndex.Name>) -> Int {
    (0..<KeyIndex.shardCount).reduce(0) { count, shard in
      count
        + keys.withLock { table in
          var names: [KeyIndex.Name] = []
          table.index.forEach(inShard: shard) { name, entry in
            if scopes.contains(entry.scope), !kept.contains(name) { names.append(name) }
          }
          for name in names { table.remove(name) }
          return names.count
        }
    }
  }

  /// Writes records; nil if they may not be durable.
  private mutating func write(_ entries: [JournalEntry]) -> [KeyLocation]? {
    do throws(Errno) { return try writer.write(entries.map { JournalWriter.Pending(entry: $0) }) } catch { return nil }
  }
}

extension JournalKey {
  init(_ key: JournalTable.InFlight) {
    self.init(
      client: key.write.client, instance: key.write.instance, key: key.write.key, state: .inFlight, status: nil,
      bodyBytes: 0, requestIDHigh: key.write.requestIDHigh, requestIDLow: key.write.requestIDLow,
      wallMicroseconds: key.wallMicroseconds)
  }

  init(_ stored: StoredRecord) {
    let record = stored.record
    let (state, status): (State, Int?) =
      switch record.kind {
      case .response: (.stored, record.status)
      case .responseNotKept: (.notKept, record.status)
      case .claim, .carried: (.unknown, nil)
      case .released, .forgotten, .instanceForgotten: (.unreadable, nil)
      }
    self.init(
      client: stored.write.client, instance: stored.write.instance, key: stored.write.key, state: state,
      status: status, bodyBytes: record.body.byteCount, requestIDHigh: record.requestIDHigh,
      requestIDLow: record.requestIDLow, wallMicroseconds: record.wallMicroseconds)
  }

  init(unreadable entry: KeyIndex.Entry, _ scopes: JournalScopes) {
    self.init(unreadable: scopes.client(of: entry.scope), scopes.instance(of: entry.scope), "")
  }

  fileprivate init(unreadable client: String, _ instance: String, _ key: String) {
    self.init(
      client: client, instance: instance, key: key, state: .unreadable, status: nil, bodyBytes: 0, requestIDHigh: 0,
      requestIDLow: 0, wallMicroseconds: 0)
  }
}
