/// Text that is compared byte by byte.
///
/// `String` compares by canonical equivalence: to it, U+212A (KELVIN SIGN) equals `K`, and a decomposed `é` a composed one.
/// Other servers tell such names apart, so names that come from outside, or are compared with one that does, must be this
/// type: otherwise one party could take the name of another.
package struct ByteText: Hashable, Sendable {
  package let text: String

  package init(_ text: String) {
    self.text = text
  }

  package var utf8: String.UTF8View { text.utf8 }

  package static func == (left: ByteText, right: ByteText) -> Bool {
    left.text.utf8.count == right.text.utf8.count && left.text.utf8.elementsEqual(right.text.utf8)
  }

  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    // Not a byte of UTF-8, so that neighbouring texts do not run together.
    hasher.combine(0xff as UInt8)
  }
}

extension ByteText: ExpressibleByStringLiteral {
  package init(stringLiteral text: String) { self.init(text) }
}
