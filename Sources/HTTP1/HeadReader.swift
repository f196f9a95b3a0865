/// Reads what the heads of requests and of answers have in common: lines, and fields up to the empty line that ends them.
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

  /// Makes ready for the next head.
  mutating func reset() {
    scanner = LineScanner()
  }

  /// The next line before the fields; nil: it is not whole yet.
  @inline(__always)
  mutating func startLine(_ bytes: Span<UInt8>) throws(HeadFault) -> Range<Int>? {
    try scanner.next(bytes, endMax: scanner.lineStart + limits.requestLineBytesMax + 2, tooLong: .targetTooLong)
  }

  /// Turns to the fields, which begin behind the last line.
  @inline(__always)
  mutating func beginFields(_ version: Version, of sender: FieldSection.Sender) {
    section = FieldSection(version: version, sender: sender)
    fieldsStart = scanner.lineStart
  }

  /// Reads the fields that have come; true once the head is whole.
  mutating func readFields(_ bytes: Span<UInt8>, into fields: inout FieldLines) throws(HeadFault) -> Bool {
    let endMax = fieldsStart + limits.headerBytesMax
    while let line = try scanner.next(bytes, endMax: endMax, tooLong: .headersTooLarge) {
      guard !line.isEmpty else {
        section.markNamedByConnection(&fields, bytes)
        return true
      }
      guard fields.count < limits.fieldsMax else { throw .headersTooLarge }
      let field = try FieldLine(bytes, line: line)
      try section.add(field, bytes)
      fields.append(field)
    }
    return false
  }
}
