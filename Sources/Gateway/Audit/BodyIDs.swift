/// The ids and the reference at the top level of a write's body, read as Core reads them.
///
/// Core uses Go's encoding/json with gin: only the first value of the body counts, keys are case-insensitive, the last
/// of two equal keys counts, and null changes nothing. A body that Core rejects as invalid JSON has no ids. The body's
/// length bounds the time, `depthMax` the memory.
struct BodyIDs: Equatable {
  private(set) var identityID: [UInt8]?
  private(set) var ledgerID: [UInt8]?
  private(set) var reference: [UInt8]?
  /// Whether it may be a split payment, of which Core stores the parts, under other references.
  private(set) var hasParts = false

  /// Longer ids are not Core's, and are omitted.
  static let idBytesMax = 256
  /// Go rejects deeper nesting.
  static let depthMax = 10_000

  @_optimize(speed)
  init(_ body: Span<UInt8>) {
    var scan = JSONScan()
    guard let ids = Self.read(&scan, body) else { return }
    self = ids
  }

  private init() {}

  /// nil for invalid JSON.
  private static func read(_ scan: inout JSONScan, _ body: Span<UInt8>) -> BodyIDs? {
    var ids = BodyIDs()
    scan.skipWhitespace(body)
    guard scan.take(UInt8(ascii: "{"), body) else { return nil }
    scan.skipWhitespace(body)
    if scan.take(UInt8(ascii: "}"), body) { return ids }
    while true {
      scan.skipWhitespace(body)
      guard let key = scan.string(body) else { return nil }
      scan.skipWhitespace(body)
      guard scan.take(UInt8(ascii: ":"), body) else { return nil }
      scan.skipWhitespace(body)
      let start = scan.offset
      guard scan.skipValue(body, depthMax: depthMax - 1) else { return nil }
      ids.read(key, start..<scan.offset, body)
      scan.skipWhitespace(body)
      if scan.take(UInt8(ascii: "}"), body) { return ids }
      guard scan.take(UInt8(ascii: ","), body) else { return nil }
    }
  }

  private mutating func read(_ key: Range<Int>, _ value: Range<Int>, _ body: Span<UInt8>) {
    switch Self.name(key, body) {
    case "identity_id": read(value, body, into: \.identityID)
    case "ledger_id": read(value, body, into: \.ledgerID)
    case "reference": read(value, body, into: \.reference)
    // An empty array has two bytes, or more with whitespace, which counts as parts, too.
    case "sources", "destinations":
      hasParts = hasParts || body[value.lowerBound] != UInt8(ascii: "n") && value.count > 2
    default: break
    }
  }

  private mutating func read(
    _ value: Range<Int>, _ body: Span<UInt8>, into property: WritableKeyPath<BodyIDs, [UInt8]?>
  ) {
    guard body[value.lowerBound] == UInt8(ascii: "\"") else { return }
    let text = Self.text(value.lowerBound + 1..<value.upperBound - 1, body)
    self[keyPath: property] = text.flatMap { $0.count > Self.idBytesMax ? nil : $0 }
  }

  /// The key as Go folds it: U+017F is an s.
  private static func name(_ key: Range<Int>, _ body: Span<UInt8>) -> String? {
    // An escape takes up to six bytes per character.
    guard key.count >= 7, key.count <= 6 * 12, let name = text(key, body) else { return nil }
    let lowered = name.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    let folded = String(decoding: lowered, as: UTF8.self)
    return lowered.contains(0xC5) ? String(folded.map { $0 == "\u{17F}" ? "s" : $0 }) : folded
  }

  /// The text between two quotes, unescaped.
  private static func text(_ range: Range<Int>, _ body: Span<UInt8>) -> [UInt8]? {
    // The scan has checked it, except for invalid UTF-8, which Go replaces.
    var out: [UInt8] = []
    var offset = range.lowerBound
    while offset < range.upperBound {
      guard out.count <= 4 * idBytesMax else { return nil }
      guard body[offset] == UInt8(ascii: "\\") else {
        out.append(body[offset])
        offset += 1
        continue
      }
      append(JSONScan.escape(body, &offset, before: range.upperBound), to: &out)
    }
    return Array(String(decoding: out, as: UTF8.self).utf8)
  }

  private static func append(_ scalar: UInt32, to out: inout [UInt8]) {
    out.append(contentsOf: String(Character(Unicode.Scalar(scalar) ?? "\u{FFFD}")).utf8)
  }
}
