/// JSON strings from untrusted text, for logs: gateway tokens in the text are masked.
extension ByteWriter {
  /// Appends a JSON member whose value is untrusted text, with `***` in place of the bytes after a token's prefix. An empty
  /// text appends nothing.
  ///
  /// - Parameter opening: everything up to the value's opening quote, such as `,"path":"`.
  @inlinable @inline(__always)
  public mutating func append(_ opening: StaticString, maskedJSON text: Span<UInt8>) {
    guard !text.isEmpty else { return }
    append(opening)
    unsafe next = next.write(maskedJSON: text, until: end)
  }

  /// Appends untrusted text as a JSON string, masked.
  @inlinable @inline(__always)
  public mutating func append(maskedJSON text: Span<UInt8>) {
    append("\"")
    unsafe next = next.write(maskedJSON: text, until: end)
  }
}

extension UnsafeMutableRawPointer {
  /// Writes a text and the closing quote; returns the end of the written bytes.
  ///
  /// Few texts contain the `k` of a token's prefix; copying checks for it with the same load.
  @usableFromInline @inline(never)
  func write(maskedJSON text: Span<UInt8>, until end: UnsafeMutableRawPointer) -> Self {
    unsafe precondition(self + (text.count &+ 8) <= end)
    guard unsafe ByteWriter.copyPlainWithoutK(text, to: self) else { return unsafe writeMasked(text, until: end) }
    unsafe storeBytes(of: UInt8(ascii: "\""), toByteOffset: text.count, as: UInt8.self)
    return unsafe self + (text.count &+ 1)
  }

  @inline(never)
  private func writeMasked(_ text: Span<UInt8>, until end: UnsafeMutableRawPointer) -> Self {
    guard let masked = masked(text) else { return unsafe write(json: text, until: end) }
    return unsafe write(json: masked.span, until: end)
  }
}

/// The text with `***` in place of the bytes after each token prefix; nil if it has none.
///
/// The prefixes are `blnk_at_` (access tokens), `blnk_rt_` (refresh tokens), `blnk_ac_` (authorization codes) and `blnk_cs_`
/// (client secrets), in either case, possibly percent-encoded. The masked bytes are those of RFC 6750's b64token and
/// `%`, except the slash, which ends a path segment.
package func masked(_ text: Span<UInt8>) -> [UInt8]? {
  var out: [UInt8] = []
  var (index, copied) = (0, 0)
  while index < text.count {
    guard beginsTokenPrefix(text[index]), let start = endOfTokenPrefix(text, from: index) else {
      index += 1
      continue
    }
    index = start
    while index < text.count, isTokenByte(text[index]) { index += 1 }
    guard index > start else { continue }
    for offset in copied..<start { out.append(text[offset]) }
    out += "***".utf8
    copied = index
  }
  guard copied > 0 else { return nil }
  for offset in copied..<text.count { out.append(text[offset]) }
  return out
}

/// Whether a prefix may begin with it: a `b`, or one that is percent-encoded.
private func beginsTokenPrefix(_ byte: UInt8) -> Bool { byte | 0x20 == UInt8(ascii: "b") || byte == UInt8(ascii: "%") }

/// The end of the token prefix at `start`; nil if there is none.
private func endOfTokenPrefix(_ text: Span<UInt8>, from start: Int) -> Int? {
  var (index, kind) = (start, UInt8(0))
  for (place, wanted) in "blnk_??_".utf8.enumerated() {
    guard index < text.count else { return nil }
    var byte = text[index]
    if byte == UInt8(ascii: "%"), index + 2 < text.count, let high = hexValue(text[index + 1]),
      let low = hexValue(text[index + 2])
    {
      byte = high << 4 | low
      index += 2
    }
    index += 1
    if (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) { byte |= 0x20 }
    switch (place, kind, byte) {
    case (5, _, UInt8(ascii: "a")), (5, _, UInt8(ascii: "r")), (5, _, UInt8(ascii: "c")): kind = byte
    case (6, UInt8(ascii: "a"), UInt8(ascii: "t")), (6, UInt8(ascii: "a"), UInt8(ascii: "c")),
      (6, UInt8(ascii: "r"), UInt8(ascii: "t")), (6, UInt8(ascii: "c"), UInt8(ascii: "s")):
      continue
    default: guard byte == wanted else { return nil }
    }
  }
  return index
}

private func hexValue(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

private func isTokenByte(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
    UInt8(ascii: "A")...UInt8(ascii: "Z"):
    true
  case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "+"),
    UInt8(ascii: "="), UInt8(ascii: "%"):
    true
  default: false
  }
}
