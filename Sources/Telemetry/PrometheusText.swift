package import Counters

/// Writes metrics in the Prometheus text format, version 0.0.4.
package struct PrometheusText {
  package enum Kind: String {
    case counter, gauge, histogram
  }

  package typealias Labels = [(name: StaticString, value: [UInt8])]

  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  /// Starts a family; all its samples must follow before the next family.
  ///
  /// - Parameter help: one line without backslashes.
  package mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    append("# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n")
  }

  /// Writes a family of one sample without labels.
  package mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Int) {
    family(name, kind, help)
    sample(name, value: value)
  }

  package mutating func sample(_ name: String, _ labels: Labels = [], value: Int) {
    begin(name, labels)
    append(" \(value)\n")
  }

  /// - Parameter nanoseconds: written in seconds.
  package mutating func sample(_ name: String, _ labels: Labels = [], nanoseconds: Int) {
    begin(name, labels)
    append(" \(Self.seconds(nanoseconds))\n")
  }

  package mutating func histogram(_ name: String, _ labels: Labels = [], _ reading: HistogramReading) {
    var sum = 0
    for (count, bound) in zip(reading.counts, DurationBounds.all.map(\.seconds) + ["+Inf"]) {
      sum += count
      sample("\(name)_bucket", labels + [("le", Array(bound.utf8))], value: sum)
    }
    sample("\(name)_sum", labels, nanoseconds: reading.nanoseconds)
    sample("\(name)_count", labels, value: sum)
  }

  private mutating func begin(_ name: String, _ labels: Labels) {
    append(name)
    var separator = "{"
    for label in labels {
      append("\(separator)\(label.name)=\"")
      for byte in label.value { append(escaped: byte) }
      append("\"")
      separator = ","
    }
    if !labels.isEmpty { append("}") }
  }

  private mutating func append(escaped byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\\"), UInt8(ascii: "\""): bytes += [UInt8(ascii: "\\"), byte]
    case UInt8(ascii: "\n"): append("\\n")
    default: bytes.append(byte)
    }
  }

  private mutating func append(_ text: String) { bytes += text.utf8 }

  /// At most nine decimals, without trailing zeros.
  private static func seconds(_ nanoseconds: Int) -> String {
    let (whole, rest) = nanoseconds.magnitude.quotientAndRemainder(dividingBy: 1_000_000_000)
    var digits = String(rest)
    digits = String(repeating: "0", count: 9 - digits.count) + digits
    while digits.last == "0" { digits.removeLast() }
    return "\(nanoseconds < 0 ? "-" : "")\(whole)\(digits.isEmpty ? "" : ".")\(digits)"
  }
}
