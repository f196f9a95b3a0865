import Bytes
import Counters
package import Policies

/// What operators see of one `/status`: facts and tables of text, for the status page and for `top`.
///
/// It is made from the JSON by `StatusRules`, so it shows what is there and does without what is not. The script of the
/// page makes the same in a browser; `Tests/status-page` compares the two.
package struct StatusView {
  package enum Tone: String, Sendable {
    case plain = ""
    case good, warn, bad
  }

  /// A text from clients or Cores may contain anything.
  package struct Cell: Equatable, Sendable {
    package let text: String
    package let tone: Tone
  }

  package struct Fact: Sendable {
    package let name: String
    package let cell: Cell
  }

  package struct Table: Sendable {
    package let id: String
    package let title: String
    /// A column of numbers has a name that begins with `#`.
    package let columns: [String]
    package let rows: [[Cell]]
    /// What the rows leave out.
    package let note: String
    package let isShown: Bool
  }

  package private(set) var facts: [Fact] = []
  /// Those that matter rarely.
  package private(set) var details: [Fact] = []
  package private(set) var tables: [Table] = []

  private typealias Value = JSONRecord.Value

  private let status: Value
  private let earlier: Value?
  private let seconds: Double
  /// When the status was made (seconds since 1970).
  private let now: Int64

  /// - Parameters:
  ///   - status: with the members of `/status`.
  ///   - earlier: an earlier one, and how many seconds before; nil: no rates, and percentiles since the start.
  ///   - rowsMax: of each table.
  package init(_ status: JSONRecord, since earlier: (status: JSONRecord, seconds: Double)? = nil, rowsMax: Int) {
    self.status = .object(status.members)
    self.earlier = earlier.map { .object($0.status.members) }
    seconds = max(0.001, earlier?.seconds ?? 0)
    now = status.text("at").flatMap { UnixSeconds(rfc3339: $0) }?.rawValue ?? 0
    var lines = parts(StatusRules.text[...], "\n")[...]
    while let line = lines.popFirst() {
      let name = line.dropFirst(2)
      if line.first == "@" {
        tables.append(table(parts(name, " ", splitsMax: 5).map(String.init), &lines, rowsMax))
        continue
      }
      let fact = Fact(name: String(name), cell: cell(Self.takeRules(&lines), self.status, self.earlier))
      if line.first == "=" { facts.append(fact) } else { details.append(fact) }
    }
  }

  private static func takeRules(_ lines: inout ArraySlice<Substring>) -> [[Substring]] {
    var rules: [[Substring]] = []
    while let line = lines.first, let kind = line.first, !"@=-|".contains(kind) {
      lines.removeFirst()
      rules.append(parts(line, " ", splitsMax: 2))
    }
    return rules
  }

  private func table(_ head: [String], _ lines: inout ArraySlice<Substring>, _ rowsMax: Int) -> Table {
    var columns: [(name: String, rules: [[Substring]])] = []
    while let line = lines.first, line.first == "|" {
      lines.removeFirst()
      columns.append((String(line.dropFirst(2)), Self.takeRules(&lines)))
    }
    let all = status[head[2]]?.list
    var before: [String: Value] = [:]
    for row in earlier?[head[2]]?.list ?? [] { before[Self.shown(row[head[1]])] = row }
    let rows = (all ?? []).prefix(rowsMax).map { row in
      let old = before[Self.shown(row[head[1]])]
      return columns.map { cell($0.rules, row, old) }
    }
    let left = Int(status[head[3]]?.number ?? Double(all?.count ?? 0)) - rows.count
    let isShown = head[4] == "always" || (head[4] == "known" ? all != nil : !rows.isEmpty)
    return Table(
      id: head[0], title: head[5], columns: columns.map(\.name), rows: rows,
      note: left > 0 ? "\(left) more are not shown." : rows.isEmpty ? "None." : "", isShown: isShown)
  }

  // MARK: Rules

  private func cell(_ rules: [[Substring]], _ value: Value, _ old: Value?) -> Cell {
    guard let rule = rules.first(where: { holds($0[0], value) }) else { return Cell(text: "-", tone: .plain) }
    // A text, and then fields, each with the text after it.
    let pieces = parts(rule[2], "{")
    var text = String(pieces[0])
    for piece in pieces.dropFirst() {
      let field = parts(piece, "}")
      let how = parts(field[0], "|")
      text += formatted(value[how[0]], old?[how[0]], as: how.count > 1 ? String(how[1]) : "") + field[1]
    }
    return Cell(text: text, tone: Tone(rawValue: String(rule[1])) ?? .plain)
  }

  private func holds(_ condition: Substring, _ value: Value) -> Bool {
    let rest = condition.dropFirst()
    switch condition.first {
    case "*": return true
    case "!": return value[rest]?.isTrue != true
    case "?": return value[rest] == nil
    default: break
    }
    let equal = parts(condition, "=")
    if equal.count == 2 { return Self.shown(value[equal[0]]) == equal[1] }
    let within = parts(condition, "<")
    guard within.count == 2 else { return value[condition]?.isTrue == true }
    let end = UnixSeconds(rfc3339: Self.shown(value[within[0]]))?.rawValue ?? .max
    return end <= now + 86_400 * (Int64(within[1]) ?? 0)
  }

  private func formatted(_ value: Value?, _ old: Value?, as format: String) -> String {
    guard let value else { return "-" }
    let number = value.number
    let rate = earlier == nil ? "-" : Self.decimal(max(0, number - (old?.number ?? 0)) / seconds)
    switch format {
    case "": return Self.shown(value)
    case "sum": return Self.whole(number)
    case "rate": return earlier == nil ? Self.whole(number) : "\(Self.whole(number)), \(rate) per s"
    case "speed": return rate
    case "time": return String(Self.shown(value).prefix(19)).replacing("T", with: " ")
    case "code": return Self.code(Self.shown(value))
    case "size": return Self.size(number)
    case "duration": return Self.duration(Int64(number))
    case "codes": return Self.codes(value)
    default: return Self.quantile(Double(format) ?? 0, value, old)
    }
  }

  /// The three most frequent ones.
  private static func codes(_ value: Value) -> String {
    var (texts, rest) = ([String](), value.members)
    while texts.count < 3, let most = rest.max(by: { $0.value.number < $1.value.number }) {
      texts.append("\(code(most.name.text.uppercased())) \(shown(most.value))")
      rest.removeAll { $0.name == most.name }
    }
    return texts.joined(separator: ", ")
  }

  private static func quantile(_ share: Double, _ value: Value, _ old: Value?) -> String {
    var counts = value["counts"]?.list.map { Int($0.number) } ?? []
    let before = old?["counts"]?.list ?? []
    if before.count == counts.count {
      for index in counts.indices { counts[index] = max(0, counts[index] - Int(before[index].number)) }
    }
    return DurationBounds.quantile(share, of: counts).map(decimal) ?? "-"
  }

  private static func shown(_ value: Value?) -> String {
    switch value {
    case .string(let text): text.text
    case .number(let text): text
    case .array(let values): values.map { shown($0) }.joined(separator: ", ")
    default: "-"
    }
  }

  private static func code(_ text: String) -> String { text.hasPrefix("GATEWAY_") ? String(text.dropFirst(8)) : text }

  private static func whole(_ number: Double) -> String { "\(Int64(number.rounded()))" }

  /// With one decimal if it is small.
  private static func decimal(_ number: Double) -> String {
    guard number < 9.95, number > 0 else { return whole(number) }
    let tenths = Int((number * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }

  private static func size(_ bytes: Double) -> String {
    var (number, unit) = (bytes, "B")
    for next in ["kB", "MB", "GB", "TB"] where number >= 1_000 { (number, unit) = (number / 1_000, next) }
    return "\(decimal(number)) \(unit)"
  }

  private static func duration(_ seconds: Int64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60)
    if days > 0 { return "\(days) d \(hours) h" }
    return hours > 0 ? "\(hours) h \(minutes) min" : "\(minutes) min \(seconds % 60) s"
  }
}

@inline(never)
private func parts(_ text: Substring, _ separator: Character, splitsMax: Int = .max) -> [Substring] {
  text.split(separator: separator, maxSplits: splitsMax, omittingEmptySubsequences: false)
}

extension JSONRecord.Value {
  /// The value at a path of names with points between them, itself at an empty one; nil: missing or null.
  fileprivate subscript(path: some StringProtocol) -> Self? { at(Substring(path)) }

  // Not inlined, here and below, because that would take 10 KB.
  @inline(never)
  private func at(_ path: Substring) -> Self? {
    var value = self
    guard !path.isEmpty else { return self }
    for name in parts(path, ".") {
      guard let next = value.members.value(ByteText(String(name))), !next.isNull else { return nil }
      value = next
    }
    return value
  }

  @inline(never)
  fileprivate var members: [JSONRecord.Member] { if case .object(let members) = self { members } else { [] } }

  @inline(never)
  fileprivate var list: [Self] { if case .array(let values) = self { values } else { [] } }

  /// Of an object, the sum. Sums and integers of it do not overflow.
  fileprivate var number: Double {
    guard case .number(let text) = self else { return members.reduce(0) { $0 + $1.value.number } }
    return min(max(Double(text) ?? 0, -1e12), 1e12)
  }

  /// Whether it is true, or not 0, or not empty.
  fileprivate var isTrue: Bool {
    switch self {
    case .null: false
    case .bool(let flag): flag
    case .number: number != 0
    case .string(let text): !text.utf8.isEmpty
    case .array(let values): !values.isEmpty
    case .object(let members): !members.isEmpty
    }
  }
}
