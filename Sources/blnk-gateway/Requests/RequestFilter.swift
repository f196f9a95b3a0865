import Bytes
import Policies

/// What the options of `requests` ask for.
struct RequestFilter {
  private let id: [UInt8]?
  private let client: [UInt8]?
  private let instance: [UInt8]?
  private var code: [UInt8]?
  private var statuses: ClosedRange<Int>?
  private let since: [UInt8]?
  private let until: [UInt8]?

  init(_ arguments: Arguments) throws(CommandFault) {
    id = arguments.value("--id").map(Self.json)
    client = arguments.value("--client").map(Self.json)
    instance = arguments.value("--instance").map(Self.json)
    since = try Self.time("--since", arguments, missingDigit: "0")
    until = try Self.time("--until", arguments, missingDigit: "9")
    guard let text = arguments.value("--code") else { return }
    statuses = Self.statuses(text)
    if statuses == nil { code = Self.json(try Self.code(text)) }
  }

  func matches(_ entry: AccessLogEntry, _ line: Span<UInt8>) -> Bool {
    if let client, !entry.has(.client, client, line) { return false }
    if let instance, !entry.has(.instance, instance, line) { return false }
    if let code, !entry.has(.code, code, line) { return false }
    if let statuses, !(Int(entry.text(.status, line)).map(statuses.contains) ?? false) { return false }
    if let id, !entry.has(.requestID, id, line), !entry.has(.clientRequestID, id, line), !entry.has(.traceID, id, line)
    {
      return false
    }
    guard since != nil || until != nil else { return true }
    let time = Array(entry.text(.time, line).utf8)
    // Times of the log have one form, which sorts as text.
    guard time.count == Self.timeBytes else { return false }
    if let since, time.lexicographicallyPrecedes(since) { return false }
    if let until, until.lexicographicallyPrecedes(time) { return false }
    return true
  }

  /// `2026-11-29T03:27:23.173671Z`.
  private static let timeBytes = 27
  private static let fractionDigits = 6

  /// As the gateway writes a text.
  private static func json(_ text: String) -> [UInt8] {
    let buffer = ByteBuffer(capacity: 64)
    let bytes = Array(text.utf8)
    buffer.write(atMost: ByteWriter.jsonBytesMax(bytes.count)) { $0.append(json: bytes.span) }
    var out: [UInt8] = []
    buffer.move(to: &out)
    return out
  }

  /// `404`, `5xx`; nil: not a status.
  private static func statuses(_ text: String) -> ClosedRange<Int>? {
    let bytes = Array(text.lowercased().utf8)
    guard bytes.count == 3, (49...53).contains(bytes[0]) else { return nil }
    let first = Int(bytes[0] - 48) * 100
    if bytes[1...] == Array("xx".utf8)[...] { return first...first + 99 }
    return Int(text).map { $0...$0 }
  }

  private static func code(_ text: String) throws(CommandFault) -> String {
    let upper = text.uppercased()
    let code = upper.hasPrefix(GatewayCode.prefix) ? upper : GatewayCode.prefix + upper
    let codes = GatewayCode.allCases.map(\.text)
    guard codes.contains(code) else {
      throw .usage(
        "\(requestsName): --code \(printable(text)): neither a code of the gateway nor a status"
          + suggestion(for: code, among: codes))
    }
    return code
  }

  /// A bound in the form of the log.
  private static func time(
    _ option: String, _ arguments: Arguments, missingDigit: Character
  ) throws(CommandFault) -> [UInt8]? {
    guard let text = arguments.value(option) else { return nil }
    var fraction = ""
    let seconds: UnixSeconds
    if let lifetime = Lifetime(text) {
      seconds = UnixSeconds(UnixSeconds.now.rawValue - lifetime.seconds)
    } else if let time = UnixSeconds(rfc3339: text) {
      seconds = time
      if let point = text.firstIndex(of: ".") {
        fraction = String(text[point...].dropFirst().prefix { $0.isNumber }.prefix(fractionDigits))
      }
    } else {
      throw .usage(
        "\(requestsName): \(option) \(printable(text)): must be an RFC 3339 time, such as 2026-11-29T03:27:23Z, or a "
          + "duration before now, such as 10m")
    }
    fraction += String(repeating: missingDigit, count: fractionDigits - fraction.utf8.count)
    return Array("\(seconds.description.dropLast()).\(fraction)Z".utf8)
  }
}
