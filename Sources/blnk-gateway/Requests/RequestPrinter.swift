import Policies
import System

/// Prints requests: as a table on a terminal, otherwise as the lines of the log.
struct RequestPrinter {
  private let isTable: Bool
  private let isTerminal = Terminal.isAt(1)
  private let columns = Terminal.columns(of: 1) ?? .max
  private var bytes: [UInt8] = []
  /// Rows whose widths are not known yet.
  private var rows: [[String]] = [Self.titles]
  private var widths = Self.titles.map(\.count)

  private static let bytesMax = 64 << 10
  private static let rowsMax = 100
  /// A wider cell is cut, so that one long name does not move the rest out of sight.
  private static let cellMax = 48
  private static let titles = [
    "TIME", "REQUEST", "STATUS", "CODE", "MS", "CLIENT", "INSTANCE", "CALL", "FAULT",
  ]

  init(asJSON: Bool) { isTable = isTerminal && !asJSON }

  mutating func print(_ entry: AccessLogEntry, _ line: Span<UInt8>) throws(CommandFault) {
    guard isTable else {
      if isTerminal { return try Console.print(asciiJSON(String(decoding: line.bytes, as: UTF8.self))) }
      bytes += line.bytes
      bytes.append(UInt8(ascii: "\n"))
      return bytes.count > Self.bytesMax ? try flush() : ()
    }
    let operation = entry.text(.operation, line)
    rows.append([
      // To the second.
      "\(entry.text(.time, line).prefix(19))Z", entry.text(.requestID, line), entry.text(.status, line),
      GatewayCode.short(entry.text(.code, line)), entry.text(.totalMilliseconds, line),
      entry.text(.client, line), entry.text(.instance, line),
      operation.isEmpty ? "\(entry.text(.method, line)) \(entry.text(.path, line))" : operation,
      entry.text(.fault, line),
    ])
    if rows.count == Self.rowsMax { try flush() }
  }

  mutating func end() throws(CommandFault) {
    // No table without a request.
    if rows.count > 1 || rows.first != Self.titles || !isTable { try flush() }
  }

  private mutating func flush() throws(CommandFault) {
    guard isTable else {
      do throws(Errno) {
        try OutputFile.standardOutput.write(bytes.span)
      } catch {
        throw .failed("cannot write to standard output")
      }
      return bytes.removeAll(keepingCapacity: true)
    }
    for row in rows {
      for index in widths.indices.dropLast() { widths[index] = min(max(widths[index], row[index].count), Self.cellMax) }
    }
    for row in rows {
      var cells: [String] = []
      for index in widths.indices.dropLast() {
        cells.append(cut(row[index], to: widths[index]).padded(to: widths[index]))
      }
      var text = cut((cells + row.suffix(1)).joined(separator: "  "), to: columns)
      while text.hasSuffix(" ") { text.removeLast() }
      let isFailure = row[2].hasPrefix("5")
      let style: Console.Style? = row == Self.titles ? .bold : isFailure ? .red : nil
      try Console.print(style.map { Console.styled(text, $0) } ?? text)
    }
    rows.removeAll(keepingCapacity: true)
  }

  /// - Parameter text: ASCII.
  private func cut(_ text: String, to width: Int) -> String {
    text.utf8.count <= width ? text : "\(text.prefix(width - 1))…"
  }
}

/// The JSON with escapes for all that is not ASCII, so that nothing in it controls the terminal.
func asciiJSON(_ json: String) -> String {
  json.utf16.reduce(into: "") { text, unit in
    if (0x20...0x7e).contains(unit) {
      text.append(Character(UnicodeScalar(UInt8(unit))))
    } else if unit > 0x7e {
      let digits = String(unit, radix: 16)
      text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
  }
}
