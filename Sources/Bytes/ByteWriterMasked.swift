/// Texts of clients in JSON for logs: a gateway token that was pasted into one is masked.
extension ByteWriter {
  /// Appends a member of a JSON object whose value a client has chosen, with `***` for what follows the beginning of a
  /// token; an empty one is left out.
  ///
  /// - Parameter beginning: name and quote, with what stands before them, as `,"path":"`.
  @inlinable @inline(__always)
  public mutating func append(_ beginning: StaticString, maskedJSON text: Span<UInt8>) {
    guard !text.isEmpty else { return }
    append(beginning)
    unsafe next = next.write(maskedJSON: text, until: end)
  }

  /// Appends a text of a client's as a JSON string, masked.
  @inlinable @inline(__always)
  public mutating func append(maskedJSON text: Span<UInt8>) {
    append("\"")
    unsafe next = next.write(maskedJSON: text, until: end)
  }
}

extension UnsafeMutableRawPointer {
  /// Writes a text and the quote behind it; returned is the place behind.
  ///
  /// Few texts have the `k` of a token's beginning, which is looked for with the load that copies them.
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

/// A text with `***` for what follows the beginning of each token; nil: it has none.
///
/// The beginning is `blnk_at_` in any case, where percent-encoded bytes stand for themselves; what belongs to a token
/// behind it are the bytes of RFC 6750's b64token but the slash, which ends a segment of a path, and escapes.
func masked(_ text: Span<UInt8>) -> [UInt8]? {
  var out: [UInt8] = []
  var (index, copied) = (0, 0)
  while index < text.count {
    guard let start = endOfTokenBeginning(text, at: index) else {
      index += 1
      continue
    }
    index = start
    while index < text.count, isOfToken(text[index]) { index += 1 }
    guard index > start else { continue }
    for place in copied..<start { out.append(text[place]) }
    out += "***".utf8
    copied = index
  }
  guard copied > 0 else { return nil }
  for place in copied..<text.count { out.append(text[place]) }
  return out
}

/// Where the beginning of a token ends that begins at `start`; nil: none does.
private func endOfTokenBeginning(_ text: Span<UInt8>, at start: Int) -> Int? {
  var index = start
  for wanted in "blnk_at_".utf8 {
    guard index < text.count else { return nil }
    var byte = text[index]
    if byte == UInt8(ascii: "%"), index + 2 < text.count, let high = hexValue(text[index + 1]),
      let low = hexValue(text[index + 2])
    {
      byte = high << 4 | low
      index += 2
    }
    guard byte == wanted || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) && byte | 0x20 == wanted else {
      return nil
    }
    index += 1
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

private func isOfToken(_ byte: UInt8) -> Bool {
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
