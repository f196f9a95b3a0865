/// Parses the common parts of request and response heads: lines, and fields up to the empty line that ends them.
struct HeadReader: Sendable {
  private let limits: HeadLimits
  private var scanner = LineScanner()
  /// The result of the fields read so far.
  private(set) var section = FieldSection(version: .http11, kind: .response)
  /// The offset of the first field line.
  private var fieldsStart = 0

  init(limits: HeadLimits) {
    self.limits = limits
  }

  /// Bytes of the complete lines read so far.
  var byteCount: Int { scanner.lineStart }

  /// Whether any byte has been read.
  var hasBegun: Bool { scanner.hasBegun }

  /// Whether no byte of the current line has been read.
  var isAtLineStart: Bool { scanner.isAtLineStart }

  /// Prepares for the next head.
  mutating func reset() {
    scanner = LineScanner()
  }

  /// The next line before the fields; nil if it is not complete yet.
  @inline(__always)
  mutating func startLine(_ bytes: Span<UInt8>, known: Int = 0) throws(HeadFault) -> Range<Int>? {
    let endMax = scanner.lineStart + limits.requestLineBytesMax + 2
    return try scanner.next(bytes, known: known, endMax: endMax, tooLong: .targetTooLong)
  }

  /// Starts reading fields, which follow the last line.
  @inline(__always)
  mutating func beginFields(_ version: Version, of kind: FieldSection.MessageKind) {
    section = FieldSection(version: version, kind: kind)
    fieldsStart = scanner.lineStart
  }

  /// Reads the received fields; true once the head is complete.
  mutating func readFields(_ bytes: Span<UInt8>, into fields: inout FieldLines) throws(HeadFault) -> Bool {
    while true {
      var (count, kinds) = (fields.lineCount, fields.kinds)
      let progress = try readFields(bytes, &count, &kinds, fields.storage.mutableSpan)
      (fields.lineCount, fields.kinds) = (count, kinds)
      switch progress {
      case .complete:
        if section.namesFields { section.markNamedByConnection(&fields, bytes) }
        return true
      case .needsMore: return false
      case .linesFull: fields.grow()
      }
    }
  }

  private enum Progress {
    case complete, needsMore, linesFull
  }

  /// Reads lines into `lines`, whose first `count` are valid. A span, because an array would check for uniqueness at each
  /// line.
  @inline(__always)
  private mutating func readFields(
    _ bytes: Span<UInt8>, _ count: inout Int, _ kinds: inout UInt32, _ lines: consuming MutableSpan<FieldLine>
  ) throws(HeadFault) -> Progress {
    let endMax = fieldsStart + limits.headerBytesMax
    while count < lines.count {
      // The name is read before the end of its line is searched for, so that only names are read twice.
      let name = PackedName(tokenIn: bytes, at: scanner.lineStart)
      let kind = name.count == 0 ? .other : FieldName(name)
      guard let line = try scanner.next(bytes, known: name.count, endMax: endMax, tooLong: .headersTooLarge) else {
        return .needsMore
      }
      guard !line.isEmpty else { return .complete }
      guard count < limits.fieldsMax else { throw .headersTooLarge }
      let field = try FieldLine(bytes, line: line, name, kind)
      try section.add(field, bytes)
      lines[count] = field
      count &+= 1
      kinds |= 1 &<< UInt32(kind.rawValue)
    }
    return .linesFull
  }
}
