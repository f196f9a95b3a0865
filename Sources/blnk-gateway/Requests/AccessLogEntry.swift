/// A line of the access log: where its members are. One value is used for many lines.
struct AccessLogEntry {
  enum Member: Int, CaseIterable {
    case time, requestID, clientRequestID, traceID, client, instance, method, path, operation, status, code, fault,
      totalMilliseconds

    fileprivate static let names: [[UInt8]] = allCases.map { Array("\"\($0.name)\"".utf8) }

    private var name: String {
      switch self {
      case .time: "time"
      case .requestID: "request_id"
      case .clientRequestID: "client_request_id"
      case .traceID: "trace_id"
      case .client: "client"
      case .instance: "instance"
      case .method: "method"
      case .path: "path"
      case .operation: "operation"
      case .status: "status"
      case .code: "code"
      case .fault: "fault"
      case .totalMilliseconds: "total_ms"
      }
    }
  }

  /// As written; empty for a missing member.
  private var ranges = [Range<Int>](repeating: 0..<0, count: Member.allCases.count)
  private var offset = 0

  /// False: the line is not a JSON object with a time and a request's id, or a member is repeated.
  mutating func read(_ line: Span<UInt8>) -> Bool {
    for index in ranges.indices { ranges[index] = 0..<0 }
    offset = 0
    skipSpace(line)
    guard skip(UInt8(ascii: "{"), line) else { return false }
    repeat {
      skipSpace(line)
      guard let key = string(line) else { return false }
      skipSpace(line)
      guard skip(UInt8(ascii: ":"), line) else { return false }
      skipSpace(line)
      guard let value = value(line) else { return false }
      if let index = Member.names.firstIndex(where: { Self.equal(line, key, $0) }) {
        guard ranges[index].isEmpty else { return false }
        ranges[index] = value
      }
      skipSpace(line)
    } while skip(UInt8(ascii: ","), line)
    guard skip(UInt8(ascii: "}"), line) else { return false }
    skipSpace(line)
    return offset == line.count && !self[.time].isEmpty && !self[.requestID].isEmpty
  }

  subscript(member: Member) -> Range<Int> { ranges[member.rawValue] }

  /// Whether a member is written like this.
  func has(_ member: Member, _ json: [UInt8], _ line: Span<UInt8>) -> Bool { Self.equal(line, self[member], json) }

  /// The member without its quotes, with its escapes, in printable ASCII; empty if it is missing.
  func text(_ member: Member, _ line: Span<UInt8>) -> String {
    var range = self[member]
    if range.count >= 2, line[range.lowerBound] == UInt8(ascii: "\"") {
      range = range.lowerBound + 1..<range.upperBound - 1
    }
    var text: [UInt8] = []
    for index in range { text.append((0x20...0x7e).contains(line[index]) ? line[index] : UInt8(ascii: "?")) }
    return String(decoding: text, as: UTF8.self)
  }

  private static func equal(_ line: Span<UInt8>, _ range: Range<Int>, _ bytes: [UInt8]) -> Bool {
    guard range.count == bytes.count else { return false }
    for index in bytes.indices where line[range.lowerBound + index] != bytes[index] { return false }
    return true
  }

  private mutating func skip(_ byte: UInt8, _ line: Span<UInt8>) -> Bool {
    guard offset < line.count, line[offset] == byte else { return false }
    offset += 1
    return true
  }

  private mutating func skipSpace(_ line: Span<UInt8>) {
    while offset < line.count, line[offset] == 0x20 || line[offset] == 0x09 || line[offset] == 0x0d { offset += 1 }
  }

  /// Skips a string; nil if there is none, or it has a control byte.
  private mutating func string(_ line: Span<UInt8>) -> Range<Int>? {
    let start = offset
    guard skip(UInt8(ascii: "\""), line) else { return nil }
    while offset < line.count, line[offset] >= 0x20, line[offset] != 0x7f {
      switch line[offset] {
      case UInt8(ascii: "\""):
        offset += 1
        return start..<offset
      // The next byte is checked by the loop, unless it is a quote or a backslash.
      case UInt8(ascii: "\\"):
        offset += 1
        if offset < line.count, line[offset] == UInt8(ascii: "\"") || line[offset] == UInt8(ascii: "\\") { offset += 1 }
      default: offset += 1
      }
    }
    return nil
  }

  /// Skips a value; nil if there is none.
  private mutating func value(_ line: Span<UInt8>) -> Range<Int>? {
    guard offset < line.count else { return nil }
    switch line[offset] {
    case UInt8(ascii: "\""): return string(line)
    case UInt8(ascii: "{"), UInt8(ascii: "["): return nested(line)
    default:
      let start = offset
      while offset < line.count, Self.isOfScalar(line[offset]) { offset += 1 }
      return offset > start ? start..<offset : nil
    }
  }

  /// Whether the byte may occur in a number, or in `true`, `false` or `null`.
  private static func isOfScalar(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (97...122).contains(byte) || "+-.E".utf8.contains(byte)
  }

  /// Skips an array or an object, whose strings are checked and whose brackets are counted.
  private mutating func nested(_ line: Span<UInt8>) -> Range<Int>? {
    let start = offset
    var depth = 0
    while offset < line.count {
      switch line[offset] {
      case UInt8(ascii: "\""):
        guard string(line) != nil else { return nil }
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case 0x20...0x7e, 0x09: break
      default: return nil
      }
      offset += 1
      if depth == 0 { return start..<offset }
    }
    return nil
  }
}
