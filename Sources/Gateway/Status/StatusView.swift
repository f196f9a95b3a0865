/// What operators see of one `/status`: facts and tables of text, for the status page and for `top`.
///
/// `StatusFacts.swift` and `StatusTables.swift` say what it has.
package struct StatusView: Sendable {
  package enum Tone: String, Sendable {
    case plain = ""
    case good, warn, bad
  }

  /// A text from clients or Cores may contain anything.
  package struct Cell: Equatable, Sendable {
    package let text: String
    package let tone: Tone

    /// - Parameter text: nil: there is nothing to show.
    static func plain(_ text: String?) -> Cell { Cell(text: text ?? "-", tone: .plain) }
    static func good(_ text: String) -> Cell { Cell(text: text, tone: .good) }
    static func warn(_ text: String) -> Cell { Cell(text: text, tone: .warn) }
    static func bad(_ text: String) -> Cell { Cell(text: text, tone: .bad) }
  }

  package struct Fact: Sendable {
    package let name: String
    package let cell: Cell

    init(_ name: String, _ cell: Cell) { (self.name, self.cell) = (name, cell) }
  }

  package struct Heading: Sendable {
    package let name: String
    package let isNumber: Bool
  }

  struct Column<Row> {
    enum Kind { case text, number }

    let heading: Heading
    let cell: (StatusChange<Row>) -> Cell

    init(_ name: String, _ kind: Kind = .text, cell: @escaping (StatusChange<Row>) -> Cell) {
      heading = Heading(name: name, isNumber: kind == .number)
      self.cell = cell
    }
  }

  package struct Table: Sendable {
    package let id: String
    package let title: String
    package let columns: [Heading]
    package let rows: [[Cell]]
    /// What the rows leave out.
    package let note: String
    package let isShown: Bool

    /// - Parameters:
    ///   - count: how many rows there are, also those that are not in `rows`.
    ///   - isAlwaysShown: also without rows.
    init<Row>(
      _ id: String, _ title: String, _ rows: [StatusChange<Row>], of count: Int? = nil, isAlwaysShown: Bool,
      _ columns: [Column<Row>]
    ) {
      (self.id, self.title) = (id, title)
      self.columns = columns.map(\.heading)
      self.rows = rows.map { row in columns.map { $0.cell(row) } }
      let left = max(rows.count, count ?? 0) - rows.count
      note = left > 0 ? "\(left) more are not shown." : rows.isEmpty ? "None." : ""
      isShown = isAlwaysShown || !rows.isEmpty
    }
  }

  /// When the status was made.
  package let at: String
  package let facts: [Fact]
  /// Those that matter rarely.
  package let details: [Fact]
  package let tables: [Table]
  /// The time that rates and percentiles are of.
  package let span: String

  /// A rate needs at least this much time between two readings.
  private static let secondsMin = 0.5

  /// - Parameter earlier: of the same process. Without it, or if it is too recent, there are no rates, and percentiles are
  ///   since the start.
  package init(_ reading: StatusReading, since earlier: StatusReading? = nil) {
    let seconds = earlier.map { Double(reading.milliseconds - $0.milliseconds) / 1_000 } ?? 0
    let hasSpan = seconds >= Self.secondsMin
    let status = StatusChange(now: reading, before: hasSpan ? earlier : nil, seconds: hasSpan ? seconds : nil)
    at = reading.gateway.at
    facts = status.facts
    details = status.details
    tables = status.tables
    span = hasSpan ? "Rates and percentiles: last \(Int(seconds.rounded())) s" : "Percentiles: since the start"
  }
}

// MARK: As JSON, for the script of the page

extension StatusView: Encodable {
  private enum CodingKeys: CodingKey { case facts, details, tables, span }

  package func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: CodingKeys.self)
    try members.encode(facts.map { [$0.name, $0.cell.text, $0.cell.tone.rawValue] }, forKey: .facts)
    try members.encode(details.map { [$0.name, $0.cell.text, $0.cell.tone.rawValue] }, forKey: .details)
    try members.encode(Dictionary(uniqueKeysWithValues: tables.map { ($0.id, $0) }), forKey: .tables)
    try members.encode(span, forKey: .span)
  }
}

extension StatusView.Table: Encodable {
  private enum CodingKeys: CodingKey { case rows, note, isShown }

  package func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: CodingKeys.self)
    try members.encode(rows.map { row in row.map { [$0.text, $0.tone.rawValue] } }, forKey: .rows)
    try members.encode(note, forKey: .note)
    try members.encode(isShown, forKey: .isShown)
  }
}
