/// The ids at the top level of a write's body, read as Core reads them.
///
/// Core uses Go's encoding/json with gin: only the first value of the body counts, keys are case-insensitive, the last
/// of two equal keys counts, and null changes nothing. A body that Core rejects as invalid JSON has no ids. The body's
/// length bounds the time, `depthMax` the memory.
struct BodyIDs: Equatable {
  private(set) var identityID: [UInt8]?
  private(set) var ledgerID: [UInt8]?

  /// Longer ids are not Core's, and are omitted.
  static let idBytesMax = 256
  /// Go rejects deeper nesting.
  static let depthMax = 10_000

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
      if let property = property(of: key, body), body[start] == UInt8(ascii: "\"") {
        ids[keyPath: property] = text(start + 1..<scan.offset - 1, body).flatMap { $0.count > idBytesMax ? nil : $0 }
      }
      scan.skipWhitespace(body)
      if scan.take(UInt8(ascii: "}"), body) { return ids }
      guard scan.take(UInt8(ascii: ","), body) else { return nil }
    }
  }

  private static func property(
    of key: Range<Int>, _ body: Span<UInt8>
  ) -> WritableKeyPath<BodyIDs, [UInt8]?>? {
    // An escape takes up to six bytes per character.
    guard key.count >= 9, key.count <= 6 * 11, let name = text(key, body) else { return nil }
    let lowered = name.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    if lowered.elementsEqual("identity_id".utf8) { return \.identityID }
    return lowered.elementsEqual("ledger_id".utf8) ? \.ledgerID : nil
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
