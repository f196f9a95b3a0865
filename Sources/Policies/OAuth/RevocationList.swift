package import OAuth

/// The file in which a gateway tells others what it has revoked:
/// `{"revoked": [{"id": "<24 hex digits>", "expires": <seconds since 1970>}]}`.
package struct RevocationList {
  /// When each id may be forgotten, because the last token that it revokes has expired.
  package let entries: [TokenID: Int64]
  /// How many entries have a time that no token can have. They are not in `entries`.
  package private(set) var absurdCount = 0

  /// The times that an entry may have: no token expires later, because it has 32 bits each for start and lifetime.
  private static let times: ClosedRange<Int64> = 0...(1 << 33)

  package init(entries: [TokenID: Int64]) { self.entries = entries }

  /// nil: the text is another one.
  package init?(_ text: [UInt8]) {
    let (root, faults) = JSONReader.read(text)
    guard faults.isEmpty, case .object(let members)? = root?.value, let list = Array(members).only,
      list.key == "revoked",
      case .array(let elements) = list.node.value
    else { return nil }
    var entries: [TokenID: Int64] = [:]
    for element in elements {
      guard case .object(let members) = element.value else { return nil }
      let pair = Array(members)
      guard pair.count == 2, pair[0].key == "id", pair[1].key == "expires",
        case .string(let hex) = pair[0].node.value, let id = TokenID(hex: hex),
        case .number(let number) = pair[1].node.value,
        number.utf8.allSatisfy({ isDecimalDigit($0) || $0 == UInt8(ascii: "-") })
      else { return nil }
      guard let expiry = Int64(number), Self.times.contains(expiry) else {
        absurdCount += 1
        continue
      }
      entries[id] = max(expiry, entries[id] ?? 0)
    }
    self.entries = entries
  }

  package var json: [UInt8] {
    let lines = entries.sorted { $0.value < $1.value }.map { id, expiry in
      #"{"id":"\#(id.hex)","expires":\#(expiry)}"#
    }
    return Array((#"{"revoked":["# + lines.joined(separator: ",\n") + "]}\n").utf8)
  }
}

extension Array {
  /// The element of an array that has one; nil: it has none or several.
  fileprivate var only: Element? { count == 1 ? first : nil }
}
