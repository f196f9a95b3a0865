/// The name of an instance: 1 to 64 bytes of letters, digits, `_`, `-` and `.`, a letter or digit first.
package struct InstanceID: Hashable, Sendable {
  static let byteCountMax = nameBytesMax

  package let bytes: [UInt8]

  /// nil for text that is not such a name.
  package init?(_ text: String) {
    guard isName(text) else { return nil }
    bytes = Array(text.utf8)
  }

  package var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// The name of a client: 1 to 64 bytes of letters, digits, `_`, `-` and `.`, a letter or digit first.
package struct ClientID: Hashable, Sendable {
  package let bytes: [UInt8]

  /// nil for text that is not such a name.
  package init?(_ text: String) {
    guard isName(text) else { return nil }
    bytes = Array(text.utf8)
  }

  /// - Parameter bytes: must be such a name.
  init(known bytes: [UInt8]) {
    self.bytes = bytes
  }

  package var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// A permission of a client, named by the operator: an RFC 6749 §3.3 scope-token of at most 128 bytes.
package struct Scope: Hashable, Sendable {
  static let read = Scope(known: "proxy:read")
  static let write = Scope(known: "proxy:write")

  package let text: String

  /// nil for text that is not a scope-token, and for `*`, which means all scopes.
  package init?(_ text: String) {
    guard (1...128).contains(text.utf8.count), text != "*", text.utf8.allSatisfy(isScopeByte) else { return nil }
    self.text = text
  }

  private init(known text: String) {
    self.text = text
  }
}

private let nameBytesMax = 64

/// The rule for names of instances and clients, as the predicate of a sentence.
package let nameRule = "must be 1 to \(nameBytesMax) characters of A-Z a-z 0-9 _ - . and start with a letter or digit"

private func isName(_ text: String) -> Bool {
  guard let first = text.utf8.first, isAlphanumeric(first), text.utf8.count <= nameBytesMax else { return false }
  return text.utf8.allSatisfy { byte in
    isAlphanumeric(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
  }
}

/// RFC 6749 §3.3: %x21 / %x23-5B / %x5D-7E.
private func isScopeByte(_ byte: UInt8) -> Bool {
  (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
}

func isAlphanumeric(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "a")...UInt8(ascii: "z"):
    true
  default: false
  }
}
