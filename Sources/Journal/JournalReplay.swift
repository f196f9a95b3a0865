import System

/// Reads the segments of earlier processes: which keys are known, and where their records are.
struct JournalReplay {
  private let folder: SharedFolder
  private let report: @Sendable (String) -> Void
  private(set) var index = KeyIndex()
  private(set) var scopes = JournalScopes()
  private(set) var segments: [JournalSegment] = []

  private var clockOffsets: [BootID: [ClosedRange<Int64>]] = [:]

  private struct Found {
    let file: InputFile
    let byteCount: Int
    let stem: String
    let header: SegmentHeader
  }

  /// The keys in flight in the process that hands over to this one, without those whose outcome is known.
  private(set) var inherited: InheritedKeys?
  /// How far its segments were read, by their stems.
  private(set) var parentOffsets: [String: Int] = [:]

  init(
    _ folder: SharedFolder, inherited: InheritedKeys?, report: @escaping @Sendable (String) -> Void
  ) throws(JournalFault) {
    self.folder = folder
    self.inherited = inherited
    self.report = report
    let found = try openSegments()
    for (position, segment) in found.enumerated() {
      let next = found.indices.contains(position + 1) ? found[position + 1].header : nil
      try read(segment, id: UInt32(position + 1), next: next)
    }
    correctTimes()
  }

  /// The wall clock may have been behind when a segment was written, and right later in the same boot.
  private mutating func correctTimes() {
    for index in segments.indices where segments[index].header.boot != BootID() {
      let offsets = clockOffsets[segments[index].header.boot] ?? []
      guard let latest = offsets.map(\.upperBound).max() else { continue }
      segments[index].wallMicroseconds = segments[index].bootMicroseconds &+ latest
    }
  }

  /// The smallest difference of the wall clock and CLOCK_BOOTTIME in a boot; nil if there is none.
  func earliestOffset(of boot: BootID) -> Int64? {
    boot == BootID() ? nil : clockOffsets[boot]?.map(\.lowerBound).min()
  }

  /// Follows all epochs of the folder.
  var nextEpoch: UInt64 { (segments.last?.header.epoch ?? 0) + 1 }

  // MARK: Segments

  /// Opens the segments in the order in which they were written, and removes those that have no header yet.
  private func openSegments() throws(JournalFault) -> [Found] {
    var found: [Found] = []
    let names: [String]
    do throws(Errno) { names = try folder.entries() } catch { throw .folder(folder.path, error) }
    let known = Set(names)
    for name in names where name.hasSuffix(".keys") {
      let stem = String(name.dropLast(5))
      if let segment = try open(stem) {
        found.append(segment)
      } else if inherited == nil {
        removeFiles(of: stem)
      }
    }
    try checkCopies(found)
    // While the parent runs, it may be making a segment.
    guard inherited == nil else { return Self.sorted(found) }
    for name in names where name.hasSuffix(".bodies") && !known.contains("\(name.dropLast(7)).keys") {
      folder.remove(name)
    }
    return Self.sorted(found)
  }

  /// A copy would be read after the records that replaced it.
  private func checkCopies(_ found: [Found]) throws(JournalFault) {
    var stems: [[UInt64]: String] = [:]
    for segment in found {
      let name = [segment.header.writer, segment.header.epoch, segment.header.number]
      if let other = stems.updateValue(segment.stem, forKey: name) {
        throw .copied(folder.path(of: "\(other).keys"), folder.path(of: "\(segment.stem).keys"))
      }
    }
  }

  private static func sorted(_ found: [Found]) -> [Found] {
    found.sorted { ($0.header.epoch, $0.header.number, $0.stem) < ($1.header.epoch, $1.header.number, $1.stem) }
  }

  /// What a file system may reserve for a header: a block.
  private static let emptyBytesMax = 4_096

  /// Nil if the file ends in its header, or is a block of zeros.
  private func open(_ stem: String) throws(JournalFault) -> Found? {
    let path = folder.path(of: "\(stem).keys")
    let (file, byteCount, start): (InputFile, Int, [UInt8])
    // Read before the header: the parent may be making a segment.
    let bodyBytes = bodyBytes(stem)
    do throws(Errno) {
      // Opening a pipe would block.
      let status = try FileStatus(path: path)
      guard status.isRegular else { throw Errno.notRegularFile }
      byteCount = status.byteCount
      file = try InputFile(path: path)
      start = try file.read(Self.emptyBytesMax, at: 0)
    } catch {
      throw .file(path, error)
    }
    do throws(SegmentHeader.Fault) {
      return Found(file: file, byteCount: byteCount, stem: stem, header: try SegmentHeader(start.span))
    } catch {
      switch error {
      case .cutOff:
        // The header is durable before anything follows it.
        let hasRecords = start.dropFirst(SegmentHeader.byteCount).contains { $0 != 0 }
        guard byteCount <= Self.emptyBytesMax, !hasRecords, bodyBytes == 0 else {
          throw .damaged(path, offset: 0, "its header is incomplete")
        }
        return nil
      case .damaged: throw .damaged(path, offset: 0, "its header does not match its checksum")
      case .version(let version): throw .version(path, version)
      }
    }
  }

  private func removeFiles(of stem: String) {
    report("idempotency: \(folder.path(of: stem)).keys has no records: removed")
    folder.remove("\(stem).keys")
    folder.remove("\(stem).bodies")
  }

  private mutating func read(_ found: Found, id: UInt32, next: SegmentHeader?) throws(JournalFault) {
    let path = folder.path(of: "\(found.stem).keys")
    guard found.byteCount <= UInt32.max else { throw .damaged(path, offset: Int(UInt32.max), "it is too large") }
    let isParents = found.header.writer == inherited?.writer
    var reader = SegmentReader(
      found.file, path: path, byteCount: found.byteCount, clockOffset: found.header.clockOffset,
      durableBytes: next?.durableBytes(of: found.header), isGrowing: isParents)
    var segment = JournalSegment(
      id: id, header: found.header, stem: found.stem, keyBytes: found.byteCount, bodyBytes: bodyBytes(found.stem),
      wallMicroseconds: found.header.wallMicroseconds, bootMicroseconds: found.header.bootMicroseconds)
    var fault: JournalFault?
    try reader.forEach { record, bytes, offset, isWhole in
      segment.hasRecords = true
      // The claims in flight, which are not forgotten, follow in the same batch.
      guard isWhole || record.kind != .instanceForgotten else { return }
      if !apply(record, bytes, KeyLocation(segment: id, offset: UInt32(offset))) {
        fault = .damaged(path, offset: offset, "there are too many clients and instances")
      }
    }
    if let fault { throw fault }
    if let batch = reader.lastBatch { segment.bootMicroseconds = batch.bootMicroseconds }
    segment.wallMicroseconds = segment.bootMicroseconds &+ reader.clockOffsets.upperBound
    clockOffsets[segment.header.boot, default: []].append(reader.clockOffsets)
    if isParents {
      parentOffsets[segment.stem] = reader.wholeEnd
    } else if reader.isCutOff {
      report("idempotency: \(path) ends in an incomplete write at byte \(reader.wholeEnd): it was never acted on")
    }
    segments.append(segment)
  }

  private func bodyBytes(_ stem: String) -> Int {
    (try? FileStatus(path: folder.path(of: "\(stem).bodies")))?.byteCount ?? 0
  }

  // MARK: Records

  /// False if the record's names have no number.
  private mutating func apply(_ record: JournalRecord, _ bytes: Span<UInt8>, _ location: KeyLocation) -> Bool {
    if inherited != nil, record.kind != .claim, record.kind != .carried { inherited?.settle(record) }
    switch record.kind {
    case .claim, .carried: return set(.unknown, record, bytes, location)
    case .response: return set(.stored, record, bytes, location)
    case .responseNotKept: return set(.notKept, record, bytes, location)
    case .released, .forgotten:
      if let entry = index.remove(index.name(of: record.digest)) {
        scopes.countKey(entry.scope, -1)
        scopes.countBytes(entry.scope, in: location.segment, bytes.count)
      }
    case .instanceForgotten: forget(bytes.text(record.instance))
    }
    return true
  }

  private mutating func set(
    _ state: KeyIndex.State, _ record: JournalRecord, _ bytes: Span<UInt8>, _ location: KeyLocation
  ) -> Bool {
    let name = index.name(of: record.digest)
    let byteCount = bytes.count + (record.body.isInline ? 0 : record.body.byteCount)
    if index.update(name, state, location) {
      if let entry = index[name] { scopes.countBytes(entry.scope, in: location.segment, byteCount) }
      return true
    }
    guard let scope = scopes.number(bytes, client: record.client, instance: record.instance) else { return false }
    index.set(name, KeyIndex.Entry(state: state, location: location, scope: scope))
    scopes.countKey(scope, 1)
    scopes.countBytes(scope, in: location.segment, byteCount)
    return true
  }

  private mutating func forget(_ instance: String) {
    let forgotten = scopes.matching(client: nil, instance: instance)
    for shard in 0..<KeyIndex.shardCount {
      var names: [KeyIndex.Name] = []
      index.forEach(inShard: shard) { name, entry in if forgotten.contains(entry.scope) { names.append(name) } }
      for name in names {
        if let entry = index.remove(name) { scopes.countKey(entry.scope, -1) }
      }
    }
  }
}
