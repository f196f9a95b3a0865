package import Digests

/// The parsed line of an audit log, as far as its chain needs it. Members have a fixed order, so none is searched for.
package struct AuditEntry: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    /// The first entry of a chain, and of each further file of it.
    case start
    /// A write is about to be sent.
    case intent
    /// The result of a write.
    case outcome
    /// The token endpoint has granted, refused or revoked something.
    case grant
    /// The gateway has carried out an operator's command, or a command has changed the policy.
    case command
    /// A changed policy has taken effect.
    case reload
    /// The writer ended normally.
    case end

    var text: StaticString {
      switch self {
      case .start: "start"
      case .intent: "intent"
      case .outcome: "outcome"
      case .grant: "grant"
      case .command: "command"
      case .reload: "reload"
      case .end: "end"
      }
    }
  }

  package let writer: UInt64
  package let sequence: UInt64
  package let kind: Kind
  /// RFC 3339.
  package let time: Range<Int>
  /// Of a `start`: the entry that it follows, in this file or in the one before it; nil if there was none.
  package let previous: AuditHead?
  /// Of a `start`: why the chain or the file begins; nil for a reason that this version does not know.
  package let reason: AuditReason?
  /// Of a `start`: whether a key was in use.
  package let isKeyed: Bool
  /// Of an intent, an outcome, a grant or a command: the request.
  package let request: AuditRequestID?
  /// Of an outcome: its kind. Of a command that has settled a write: the write's outcome.
  package let outcome: AuditOutcome.Kind?
  package let hash: Digest
  /// The number of hashed bytes of the line; the hash also covers a closing brace.
  let openCount: Int

  package var head: AuditHead { AuditHead(writer: writer, sequence: sequence, hash: hash) }

  /// `,"hash":"` and 64 digits and `"}`.
  private static let tailCount = 9 + 64 + 2

  /// Parses a line without its newline; nil if it does not have the form of an entry.
  package init?(_ line: Span<UInt8>) {
    openCount = line.count - Self.tailCount
    guard openCount > 0 else { return nil }
    var tail = LineScan(offset: openCount)
    guard tail.skip(#","hash":""#, line), let hash = tail.digest(line), tail.skip("\"}", line) else { return nil }
    self.hash = hash

    var scan = LineScan()
    guard scan.skip(#"{"writer":""#, line), let writer = scan.hex(16, line), scan.skip(#"","seq":"#, line),
      let sequence = scan.decimal(line), sequence > 0, scan.skip(#","time":""#, line),
      let time = scan.text(line), scan.skip(#","kind":""#, line),
      let kind = scan.text(line).flatMap({ Kind(line, $0) })
    else { return nil }
    self.writer = writer
    self.sequence = sequence
    self.time = time
    self.kind = kind
    switch kind {
    case .intent, .outcome, .grant, .command:
      guard scan.skip(#","request_id":""#, line), let high = scan.hex(16, line), let low = scan.hex(16, line),
        scan.skip("\"", line)
      else { return nil }
      request = AuditRequestID(high: high, low: low)
      outcome = scan.skip(#","outcome":""#, line) ? scan.text(line).flatMap { AuditOutcome.Kind(line, $0) } : nil
      guard kind != .outcome || outcome != nil else { return nil }
      (previous, reason, isKeyed) = (nil, nil, false)
    case .start:
      guard scan.skip(#","reason":""#, line), let word = scan.text(line), scan.skip(#","chain":""#, line),
        let chain = scan.text(line), scan.skip(#","previous":"#, line)
      else { return nil }
      reason = AuditReason.allCases.first { LineScan.has($0.rawValue, line, at: word) }
      isKeyed = LineScan.has("hmac-sha256", line, at: chain)
      guard !scan.skip("null", line) else {
        (previous, request, outcome) = (nil, nil, nil)
        return
      }
      guard let head = scan.head(line) else { return nil }
      (previous, request, outcome) = (head, nil, nil)
    case .reload, .end: (previous, reason, isKeyed, request, outcome) = (nil, nil, false, nil, nil)
    }
  }
}

/// Why a chain or one of its files begins.
package enum AuditReason: String, Sendable, CaseIterable {
  case process, rotation, recovery
}

/// The request that an entry belongs to.
package struct AuditRequestID: Hashable, Sendable {
  let high: UInt64
  let low: UInt64

  init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

  /// - Parameter text: 32 hex digits; nil for other text.
  package init?(_ text: String) {
    let digits = text.utf8Span.span
    var scan = LineScan()
    guard digits.count == 32, let high = scan.hex(16, digits), let low = scan.hex(16, digits) else { return nil }
    self.init(high: high, low: low)
  }
}

extension AuditOutcome.Kind {
  fileprivate init?(_ line: Span<UInt8>, _ range: Range<Int>) {
    for word in Self.allCases where LineScan.has(word.rawValue, line, at: range) {
      self = word
      return
    }
    return nil
  }
}

extension AuditEntry.Kind {
  fileprivate init?(_ line: Span<UInt8>, _ range: Range<Int>) {
    for kind in Self.allCases where LineScan.has(kind.rawValue, line, at: range) {
      self = kind
      return
    }
    return nil
  }
}

/// A cursor that reads a line from left to right.
struct LineScan {
  private(set) var offset = 0

  init(offset: Int = 0) { self.offset = offset }

  mutating func skip(_ text: String, _ line: Span<UInt8>) -> Bool {
    let end = offset + text.utf8.count
    guard end <= line.count, Self.has(text, line, at: offset..<end) else { return false }
    offset = end
    return true
  }

  static func has(_ text: String, _ line: Span<UInt8>, at range: Range<Int>) -> Bool {
    let expected = text.utf8Span.span
    guard expected.count == range.count else { return false }
    for index in 0..<expected.count where expected[index] != line[range.lowerBound + index] { return false }
    return true
  }

  /// Reads up to the closing quote and skips it; nil for text with escapes, which these members never have.
  mutating func text(_ line: Span<UInt8>) -> Range<Int>? {
    let start = offset
    while offset < line.count, line[offset] != UInt8(ascii: "\""), line[offset] != UInt8(ascii: "\\") { offset += 1 }
    guard offset < line.count, line[offset] == UInt8(ascii: "\"") else { return nil }
    defer { offset += 1 }
    return start..<offset
  }

  mutating func decimal(_ line: Span<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    let start = offset
    while offset < line.count, offset - start < 18, (48...57).contains(line[offset]) {
      value = value * 10 + UInt64(line[offset] - 48)
      offset += 1
    }
    return offset > start ? value : nil
  }

  /// Accepts lower-case digits only, so that a line has only one valid form.
  mutating func hex(_ digits: Int, _ line: Span<UInt8>) -> UInt64? {
    guard offset + digits <= line.count else { return nil }
    var value: UInt64 = 0
    for index in offset..<offset + digits {
      guard let digit = hexValue(line[index]), !(65...70).contains(line[index]) else { return nil }
      value = value << 4 | UInt64(digit)
    }
    offset += digits
    return value
  }

  mutating func digest(_ line: Span<UInt8>) -> Digest? {
    guard let first = hex(16, line), let second = hex(16, line), let third = hex(16, line), let fourth = hex(16, line)
    else { return nil }
    return Digest(words: (first, second, third, fourth))
  }

  /// Reads `{"writer":"…","seq":1,"hash":"…"}`.
  mutating func head(_ line: Span<UInt8>) -> AuditHead? {
    guard skip(#"{"writer":""#, line), let writer = hex(16, line), skip(#"","seq":"#, line),
      let sequence = decimal(line), skip(#","hash":""#, line), let hash = digest(line), skip("\"}", line)
    else { return nil }
    return AuditHead(writer: writer, sequence: sequence, hash: hash)
  }
}
