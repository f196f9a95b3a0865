import OAuth

/// What this process has revoked, and who waits until a file says so. Decides; does no I/O.
///
/// One save writes all revocations that wait. They are spread over files, so that it writes little however many there
/// are.
struct OwnRevocations {
  /// Who asks.
  enum Cause {
    /// A client, with its own token.
    case client(String)
    /// The second use of a client's code. It is in force here even if too much waits.
    case usedCode(of: String)

    fileprivate var client: String {
      switch self {
      case .client(let client), .usedCode(of: let client): client
      }
    }
  }

  /// Why a revocation is not accepted.
  enum Refusal: Equatable {
    /// `waitingMax` requests wait.
    case busy
    /// `waitingPerClientMax` requests of the client wait.
    case clientBusy
    /// There are `entriesMax` ids.
    case full
    /// There are `entriesPerClientMax` ids of the client.
    case clientFull
  }

  enum Verdict: Equatable {
    /// It was revoked before, and a file says so.
    case stored
    /// The caller gets the outcome of a save.
    case waits
    case refused(Refusal)
  }

  struct Decision: Equatable {
    let verdict: Verdict
    /// Whether the id is in force from now on, and was not before.
    var isNew = false
    /// Whether the caller has to start a save.
    var startsSave = false
  }

  /// What one save writes.
  struct Save {
    /// The content of each file, by number.
    let files: [Int: [TokenID: Int64]]
    fileprivate let ids: Set<TokenID>
    fileprivate let waiters: [Waiter]
  }

  typealias Completion = @Sendable (_ isStored: Bool) -> Void

  fileprivate struct Waiter {
    let client: String
    let complete: Completion
  }

  private struct Entry {
    var expiry: Int64
    let file: Int
    let client: String
    /// Whether it was a client's own request.
    let counts: Bool
  }

  /// Requests that wait for a save.
  static let waitingMax = 1_024
  static let waitingPerClientMax = 64
  /// Ids in force.
  static let entriesMax = 100_000
  static let entriesPerClientMax = 25_000
  /// More ids, of codes that were used twice.
  static let usedCodesMax = 10_000
  static let fileEntriesMax = 1_000

  private var entries: [TokenID: Entry] = [:]
  private var files: [Int: Set<TokenID>] = [:]
  private var currentFile = 1
  /// Ids and files that a save has to write.
  private var unstored: Set<TokenID> = []
  private var changedFiles: Set<Int> = []
  /// Being written.
  private var saving: Set<TokenID> = []
  private var waiters: [Waiter] = []
  /// Requests whose outcome is open, by client, and of all.
  private var waitingCounts: [String: Int] = [:]
  private(set) var waitingCount = 0
  private var entryCounts: [String: Int] = [:]
  private var isSaveDue = false

  /// How many ids are in force.
  var count: Int { entries.count }

  /// - Parameters:
  ///   - isKept: whether there are files; else the id is revoked once it is in force.
  ///   - complete: called with the outcome if the verdict is `.waits`.
  mutating func revoke(
    _ id: TokenID, until expiry: Int64, _ cause: Cause, isKept: Bool, _ complete: @escaping Completion
  ) -> Decision {
    let known = entries[id]
    let isCovered = known.map { $0.expiry >= expiry } ?? false
    if isCovered, !isKept || !unstored.contains(id) && !saving.contains(id) { return Decision(verdict: .stored) }
    let overload = isKept ? overload(of: cause.client) : nil
    if case .client = cause, let overload { return Decision(verdict: .refused(overload)) }
    if known == nil {
      if let refusal = shortage(for: cause) { return Decision(verdict: .refused(refusal)) }
      add(id, expiry, cause)
    } else if !isCovered {
      extend(id, expiry)
    }
    guard isKept else { return Decision(verdict: .stored, isNew: known == nil) }
    if overload == nil { wait(cause.client, complete) }
    return Decision(
      verdict: overload.map { .refused($0) } ?? .waits, isNew: known == nil, startsSave: claimSave())
  }

  private func overload(of client: String) -> Refusal? {
    if waitingCount >= Self.waitingMax { return .busy }
    return waitingCounts[client] ?? 0 >= Self.waitingPerClientMax ? .clientBusy : nil
  }

  private func shortage(for cause: Cause) -> Refusal? {
    switch cause {
    case .usedCode: return entries.count >= Self.entriesMax + Self.usedCodesMax ? .full : nil
    case .client(let client):
      if entries.count >= Self.entriesMax { return .full }
      return entryCounts[client] ?? 0 >= Self.entriesPerClientMax ? .clientFull : nil
    }
  }

  private mutating func add(_ id: TokenID, _ expiry: Int64, _ cause: Cause) {
    if files[currentFile]?.count ?? 0 >= Self.fileEntriesMax { currentFile += 1 }
    var counts = false
    if case .client(let client) = cause {
      counts = true
      entryCounts[client, default: 0] += 1
    }
    entries[id] = Entry(expiry: expiry, file: currentFile, client: cause.client, counts: counts)
    files[currentFile, default: []].insert(id)
    unstored.insert(id)
    changedFiles.insert(currentFile)
  }

  private mutating func extend(_ id: TokenID, _ expiry: Int64) {
    guard let file = entries[id]?.file else { return }
    entries[id]?.expiry = expiry
    unstored.insert(id)
    changedFiles.insert(file)
  }

  private mutating func wait(_ client: String, _ complete: @escaping Completion) {
    waiters.append(Waiter(client: client, complete: complete))
    waitingCounts[client, default: 0] += 1
    waitingCount += 1
  }

  // MARK: Saving

  /// Whether something is not in its file, and no save is due.
  var needsSave: Bool { !isSaveDue && !changedFiles.isEmpty }

  /// Whether the caller has to start a save; false: one is due.
  mutating func claimSave() -> Bool {
    defer { isSaveDue = true }
    return !isSaveDue
  }

  /// Takes everything that waits. Only one save at a time.
  mutating func beginSave() -> Save {
    let contents = changedFiles.map { number in
      (number, (files[number] ?? []).reduce(into: [TokenID: Int64]()) { list, id in list[id] = entries[id]?.expiry })
    }
    let save = Save(files: Dictionary(uniqueKeysWithValues: contents), ids: unstored, waiters: waiters)
    (changedFiles, unstored, saving, waiters, isSaveDue) = ([], [], unstored, [], false)
    return save
  }

  /// - Returns: whom to tell the outcome.
  mutating func ended(_ save: Save, isStored: Bool) -> [Completion] {
    saving = []
    if !isStored {
      unstored.formUnion(save.ids)
      changedFiles.formUnion(save.files.keys)
    }
    for waiter in save.waiters {
      let rest = (waitingCounts[waiter.client] ?? 1) - 1
      waitingCounts[waiter.client] = rest > 0 ? rest : nil
    }
    waitingCount -= save.waiters.count
    return save.waiters.map(\.complete)
  }

  /// The files that say what they should.
  var storedFiles: Set<Int> { Set(files.keys).subtracting(changedFiles) }

  /// These files do not exist, because someone has removed them or because the folder is another one.
  mutating func lost(_ numbers: Set<Int>) {
    for number in numbers {
      unstored.formUnion(files[number] ?? [])
      changedFiles.insert(number)
    }
  }

  // MARK: Ids

  func contains(_ id: TokenID) -> Bool { entries[id] != nil }

  /// The ids whose tokens expired before a time.
  func expired(before time: Int64) -> [TokenID] { entries.filter { $0.value.expiry < time }.map(\.key) }

  /// Forgets an id whose tokens expired before a time.
  ///
  /// - Returns: the number of its file, if no id in that one is in force any longer.
  mutating func forget(_ id: TokenID, expiredBefore time: Int64) -> Int? {
    guard let entry = entries[id], entry.expiry < time, !unstored.contains(id), !saving.contains(id) else { return nil }
    entries[id] = nil
    if entry.counts {
      let rest = (entryCounts[entry.client] ?? 1) - 1
      entryCounts[entry.client] = rest > 0 ? rest : nil
    }
    files[entry.file]?.remove(id)
    guard files[entry.file]?.isEmpty ?? false, entry.file != currentFile else { return nil }
    files[entry.file] = nil
    changedFiles.remove(entry.file)
    return entry.file
  }
}
