import Foundation

/// Reads forms, HTTP Basic and authorization URLs with Foundation.
enum ReferenceForm {
  /// nil: the form is refused.
  static func read(_ bytes: [UInt8]) -> [String: String]? {
    let pairs = bytes.split(separator: UInt8(ascii: "&"))
    guard pairs.count <= 32 else { return nil }
    var values: [String: String] = [:]
    for pair in pairs {
      let halves = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = decoded(Array(halves[0])), let value = decoded(halves.count > 1 ? Array(halves[1]) : []),
        values.updateValue(value, forKey: name) == nil
      else { return nil }
    }
    return values
  }

  static func decoded(_ bytes: [UInt8]) -> String? {
    // By hand, because Foundation's own decoding of escapes repairs what is not UTF-8.
    var rest = bytes.map { $0 == UInt8(ascii: "+") ? 0x20 : $0 }[...]
    var raw: [UInt8] = []
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        raw.append(byte)
        continue
      }
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      guard digits.count == 2, digits.allSatisfy(\.isHexDigit), let value = UInt8(digits, radix: 16) else { return nil }
      raw.append(value)
      rest = rest.dropFirst(2)
    }
    guard let decoded = String(bytes: raw, encoding: .utf8) else { return nil }
    return decoded.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f } ? decoded : nil
  }

  static func basic(_ field: [UInt8]) -> (client: String, secret: String)? {
    guard field.count <= 1_024, String(decoding: field.prefix(6), as: UTF8.self).lowercased() == "basic " else {
      return nil
    }
    let text = Array(field.drop { $0 != 0x20 }.drop { $0 == 0x20 })
    let unpadded = text.count % 4 == 0 ? text : text + Array(repeating: 0x3d, count: 4 - text.count % 4)
    guard text.count % 4 == 0 || !text.contains(0x3d), let pair = Data(base64Encoded: Data(unpadded)).map(Array.init),
      // Foundation takes second texts for the same bytes.
      Data(pair).base64EncodedData() == Data(unpadded),
      let colon = pair.firstIndex(of: UInt8(ascii: ":")), let client = decoded(Array(pair[..<colon])),
      let secret = decoded(Array(pair[(colon + 1)...])), !client.isEmpty, !secret.isEmpty
    else { return nil }
    return (client, secret)
  }
}
