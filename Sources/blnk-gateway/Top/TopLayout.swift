import Gateway
import Policies

/// Lays a status out for a terminal: lines of ASCII, cut to its width.
struct TopLayout {
  private static let gap = "  "

  private let view: StatusView
  private let columns: Int
  private let hasStyles: Bool

  /// - Parameter columns: nil: lines are not cut.
  init(_ view: StatusView, columns: Int?, hasStyles: Bool) {
    self.view = view
    self.columns = columns ?? .max
    self.hasStyles = hasStyles
  }

  /// The width of a cell that is not the last one.
  private var cellMax: Int { columns == .max ? .max : 48 }

  /// All of it.
  func lines() -> [String] {
    var lines = facts(view.facts + view.details, isNarrow: true)
    for table in view.tables where table.isShown { lines += [""] + text(of: table, linesMax: .max) }
    return lines
  }

  /// As much as fits on a screen.
  func lines(title: String, isFault: Bool, rows: Int) -> [String] {
    var lines = [line([(printable(title), isFault ? .red : .bold)])] + facts(view.facts, isNarrow: false)
    var tables = view.tables.filter(\.isShown)
    while !tables.isEmpty {
      let table = tables.removeFirst()
      let capacity = Self.capacity(linesLeft: rows - lines.count, rowsAfter: tables.map(\.rows.count))
      guard capacity > 0 else { continue }
      lines += [""] + text(of: table, linesMax: capacity)
    }
    return Array(lines.prefix(rows))
  }

  /// How many lines the rows of a table get: its share of what is left, and what the tables after it do not need.
  ///
  /// - Parameter rowsAfter: of each of the tables after it.
  static func capacity(linesLeft: Int, rowsAfter: [Int]) -> Int {
    // An empty line, the title and the names of the columns.
    let headLines = 3
    let share = linesLeft / (rowsAfter.count + 1)
    let needed = rowsAfter.reduce(0) { $0 + min($1 + headLines, max(0, share)) }
    return max(share, linesLeft - needed) - headLines
  }

  /// One line for each, or as many in a line as fit.
  private func facts(_ facts: [StatusView.Fact], isNarrow: Bool) -> [String] {
    var lines: [[(String, Console.Style?)]] = []
    var width = 0
    for fact in facts {
      let (name, text) = (fact.name, printable(fact.cell.text))
      let length = name.count + text.count + 2
      if lines.isEmpty || isNarrow || width + length + 3 > columns {
        lines.append([])
        width = 0
      } else {
        lines[lines.count - 1].append(("   ", nil))
        width += 3
      }
      lines[lines.count - 1] += [("\(name): ", .dim), (text, fact.cell.tone.style)]
      width += length
    }
    return lines.map(line)
  }

  private func text(of table: StatusView.Table, linesMax: Int) -> [String] {
    let rows = table.rows.prefix(linesMax).map { row in row.map { (printable($0.text), $0.tone.style) } }
    var widths = table.columns.map(\.name.count)
    for row in rows {
      for index in row.indices { widths[index] = min(max(widths[index], row[index].0.count), cellMax) }
    }
    // The last column may have any width.
    widths[widths.count - 1] = 0
    func padded(_ text: String, _ index: Int) -> String {
      guard widths[index] > 0 else { return text }
      let cut = text.count <= widths[index] ? text : "\(text.prefix(widths[index] - 1))~"
      let spaces = String(repeating: " ", count: widths[index] - cut.count)
      return table.columns[index].isNumber ? spaces + cut : cut + spaces
    }
    func line(_ cells: [(String, Console.Style?)]) -> String {
      self.line(
        cells.enumerated().flatMap { index, cell in
          [(index == 0 ? "" : Self.gap, nil), (padded(cell.0, index), cell.1)]
        })
    }
    var lines: [String] = []
    var shown = 0
    for row in rows {
      let last = row[row.count - 1]
      // What does not fit into the last column gets a separate line.
      let isLong = last.0.count > max(0, columns - widths.reduce(0, +) - Self.gap.count * (widths.count - 1))
      guard lines.count + (isLong ? 2 : 1) <= linesMax || lines.isEmpty else { break }
      lines.append(line(isLong ? row.dropLast() : row))
      if isLong { lines.append(self.line([("    ", nil), last])) }
      shown += 1
    }
    let hidden = table.rows.count - shown
    let note = hidden > 0 ? "\(table.note) \(hidden) more do not fit." : table.note
    return [
      self.line([(table.title, .bold), (note.isEmpty ? "" : "   \(note)", .dim)]),
      line(table.columns.map { ($0.name, .dim) }),
    ]
      + lines
  }

  /// The parts one after the other, cut to the width.
  ///
  /// - Parameter parts: ASCII.
  private func line(_ parts: [(String, Console.Style?)]) -> String {
    var (line, left) = ("", columns)
    for (text, style) in parts where left > 0 && !text.isEmpty {
      let cut = text.count <= left ? text : "\(text.prefix(left - 1))~"
      left -= cut.count
      line += hasStyles ? style?.applied(to: cut) ?? cut : cut
    }
    while line.hasSuffix(" ") { line.removeLast() }
    return line
  }
}

extension StatusView.Tone {
  fileprivate var style: Console.Style? {
    switch self {
    case .plain: nil
    case .good: .green
    case .warn: .yellow
    case .bad: .red
    }
  }
}
