/// A request target as Core's router gets it from Go's URL parser.
struct SandboxTarget {
  /// The decoded path, split at slashes, including percent-encoded ones.
  let segments: [String]
  /// The path as sent, for redirects.
  let path: String
  let rawQuery: String?
  let query: SandboxQuery

  /// Nil if an escape is malformed.
  init?(_ target: String) {
    let origin = Self.withoutAuthority(target)
    let parts = origin.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard let decoded = String(parts[0]).percentDecoded(plusIsBlank: false), decoded.hasPrefix("/") else { return nil }
    path = String(parts[0])
    segments = decoded.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    rawQuery = parts.count > 1 ? String(parts[1]) : nil
    query = SandboxQuery(rawQuery ?? "")
  }

  /// RFC 9112 §3.2.2: the absolute form names a host, which Core ignores.
  private static func withoutAuthority(_ target: String) -> Substring {
    guard !target.hasPrefix("/"), let scheme = target.firstRange(of: "://") else { return Substring(target) }
    let rest = target[scheme.upperBound...]
    guard let slash = rest.firstIndex(of: "/") else { return "/" }
    return rest[slash...]
  }
}

/// The pairs of a query string, in order.
struct SandboxQuery {
  let pairs: [(name: String, value: String)]

  /// Like Go, ignores pairs with a semicolon or a malformed escape.
  init(_ text: String) {
    pairs = text.split(separator: "&").compactMap { pair in
      guard !pair.contains(";") else { return nil }
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = String(parts[0]).percentDecoded(plusIsBlank: true),
        let value = String(parts.count > 1 ? parts[1] : "").percentDecoded(plusIsBlank: true)
      else { return nil }
      return (name, value)
    }
  }

  /// The first value of the name.
  subscript(name: String) -> String? { pairs.first { $0.name.hasSameBytes(as: name) }?.value }

  func all(_ name: String) -> [String] { pairs.filter { $0.name.hasSameBytes(as: name) }.map(\.value) }
}

extension String {
  fileprivate func percentDecoded(plusIsBlank: Bool) -> String? {
    var bytes: [UInt8] = []
    var rest = Substring(self).utf8
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "%"):
        guard let high = rest.popFirst()?.hexDigitValue, let low = rest.popFirst()?.hexDigitValue else { return nil }
        bytes.append(high << 4 | low)
      case UInt8(ascii: "+") where plusIsBlank: bytes.append(UInt8(ascii: " "))
      default: bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension UInt8 {
  fileprivate var hexDigitValue: UInt8? {
    guard self < 0x80 else { return nil }
    return Character(Unicode.Scalar(self)).hexDigitValue.map(UInt8.init)
  }
}
