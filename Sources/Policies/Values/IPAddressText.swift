extension IPAddress {
  /// Strict dotted decimal, or RFC 4291 §2.2 text without a zone; nil for anything else.
  package init?(_ text: String) {
    self.init(text.utf8Span.span, 0..<text.utf8.count)
  }

  /// The same from the bytes of `range`, without allocating.
  package init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    var reader = IPAddressReader()
    for index in range {
      guard reader.take(bytes[index]) else { return nil }
    }
    guard let address = reader.address else { return nil }
    self = address
  }
}

func isDecimalDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}
