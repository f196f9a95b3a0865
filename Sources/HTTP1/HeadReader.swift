/// Reads what the heads of requests and of responses have in common: lines, and fields up to the empty line that ends them.
struct HeadReader: Sendable {
  private let limits: HeadLimits
  private var scanner = LineScanner()
  /// What the fields said until now.
  private(set) var section = FieldSection(version: .http11, sender: .server)
  /// Where the field lines begin.
  private var fieldsStart = 0

  init(limits: HeadLimits) {
    self.limits = limits
  }

  /// Bytes of the lines that were read.
  var byteCount: Int { scanner.lineStart }

  /// Whether anything was read.
  var hasBegun: Bool { scanner.hasBegun }

  /// Whether nothing was read yet of the line that comes.
  var isAtLineStart: Bool { scanner.isAtLineStart }

  /// Makes ready for the next head.
  mutating func reset() {
    scanner = LineScanner()
  }

  /// The next line before the fields; nil: it is not whole yet.
  @inline(__always)
  mutating func startLine(_ bytes: Span<UInt8>, known: Int = 0) throws(HeadFault) -> Range<Int>? {
    let endMax = scanner.lineStart + limits.requestLineBytesMax + 2
    return try scanner.next(bytes, known: known, endMax: endMax, tooLong: .targetTooLong)
  }

  /// Turns to the fields, which begin behind the last line.
  @inline(__always)
  mutating func beginFields(_ version: Version, of sender: FieldSection.Sender) {
    section = FieldSection(version: version, sender: sender)
    fieldsStart = scanner.lineStart
  }

  /// Reads the fields that have come; true once the head is whole.
  mutating func readFields(_ bytes: Span<UInt8>, into fields: inout FieldLines) throws(HeadFault) -> Bool {
    while true {
      var (count, kinds) = (fields.held, fields.kinds)
      let stop = try readFields(bytes, &count, &kinds, fields.storage.mutableSpan)
      (fields.held, fields.kinds) = (count, kinds)
      switch stop {
      case .whole:
        if section.namesFields { section.markNamedByConnection(&fields, bytes) }
        return true
      case .partial: return false
      case .full: fields.grow()
      }
    }
  }

  private enum Stop {
    case whole, partial, full
  }

  /// Reads lines into `lines`, whose first `count` are held; an array would be asked at each whether it is shared.
  @inline(__always)
  private mutating func readFields(
    _ bytes: Span<UInt8>, _ count: inout Int, _ kinds: inout UInt32, _ lines: consuming MutableSpan<FieldLine>
  ) throws(HeadFault) -> Stop {
    let endMax = fieldsStart + limits.headerBytesMax
    while count < lines.count {
      // The name is read before the end of its line is looked for, so that nothing but a name is looked at twice.
      let name = PackedName(tokenIn: bytes, at: scanner.lineStart)
      let kind = name.count == 0 ? .other : FieldName(name)
      guard let line = try scanner.next(bytes, known: name.count, endMax: endMax, tooLong: .headersTooLarge) else {
        return .partial
      }
      guard !line.isEmpty else { return .whole }
      guard count < limits.fieldsMax else { throw .headersTooLarge }
      let field = try FieldLine(bytes, line: line, name, kind)
      try section.add(field, bytes)
      lines[count] = field
      count &+= 1
      kinds |= 1 &<< UInt32(kind.rawValue)
    }
    return .full
  }
}
