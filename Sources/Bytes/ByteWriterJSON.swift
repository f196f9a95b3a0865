/// Arbitrary bytes as JSON strings (RFC 8259 §7).
///
/// A byte that is not part of valid UTF-8 is written as `\u00XX`, which keeps the text readable and the byte's value.
extension ByteWriter {
  /// The capacity that a text of `count` bytes needs: each byte may become a 6-byte escape, and stores of 8 bytes may exceed
  /// the text.
  @inlinable @inline(__always)
  public static func jsonBytesMax(_ count: Int) -> Int { 6 &* count &+ 10 }

  /// Appends a text as a JSON string.
  @inlinable @inline(__always)
  public mutating func append(json text: Span<UInt8>) {
    append("\"")
    unsafe next = next.write(json: text, until: end)
  }

  /// Appends a JSON member whose value is text. An empty text appends nothing.
  ///
  /// - Parameter opening: everything up to the value's opening quote, such as `,"peer":"`.
  @inlinable @inline(__always)
  public mutating func append(_ opening: StaticString, json text: Span<UInt8>) {
    guard !text.isEmpty else { return }
    append(opening)
    unsafe next = next.write(json: text, until: end)
  }

  /// Writes the rest of a text, whose first byte needs an escape, and the closing quote.
  @inline(never)
  fileprivate static func escape(
    _ text: Span<UInt8>, from start: Int, at destination: UnsafeMutableRawPointer, until end: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    var writer = unsafe ByteWriter(at: destination, until: end)
    var index = start
    while index < text.count {
      let byte = text[index]
      let length = sequenceLength(text, at: index)
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
        writer.append("\\")
        writer.append(byte)
      } else if length > 0 {
        for offset in index..<index + length { writer.append(text[offset]) }
      } else {
        writer.append(#"\u00"#)
        writer.append(words: [UInt64(hexDigitsOf: UInt32(byte)) >> 48], bytes: 2)
      }
      index += max(length, 1)
      let rest = text.extracting(index..<text.count)
      writer.check(rest.count + 8)
      let plain = unsafe copyPlainPrefix(of: rest, to: writer.next)
      unsafe writer.next += plain
      index += plain
    }
    writer.append("\"")
    return unsafe writer.next
  }
}

extension UnsafeMutableRawPointer {
  /// Writes a text and the closing quote; returns the end of the written bytes. Most texts need no escapes.
  @usableFromInline @inline(never)
  func write(json text: Span<UInt8>, until end: UnsafeMutableRawPointer) -> Self {
    unsafe precondition(self + (text.count &+ 8) <= end)
    let plain = unsafe ByteWriter.copyPlainPrefix(of: text, to: self)
    guard plain == text.count else {
      return unsafe ByteWriter.escape(text, from: plain, at: self + plain, until: end)
    }
    unsafe storeBytes(of: UInt8(ascii: "\""), toByteOffset: plain, as: UInt8.self)
    return unsafe self + (plain &+ 1)
  }
}

/// The length of the well-formed UTF-8 sequence of two to four bytes at `index`, else 0 (Unicode 15, table 3-7).
private func sequenceLength(_ text: Span<UInt8>, at index: Int) -> Int {
  let length: Int
  let second: ClosedRange<UInt8>
  switch text[index] {
  case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
  case 0xE0: (length, second) = (3, 0xA0...0xBF)
  case 0xE1...0xEC, 0xEE...0xEF: (length, second) = (3, 0x80...0xBF)
  case 0xED: (length, second) = (3, 0x80...0x9F)
  case 0xF0: (length, second) = (4, 0x90...0xBF)
  case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
  case 0xF4: (length, second) = (4, 0x80...0x8F)
  default: return 0
  }
  guard index + length <= text.count, second.contains(text[index + 1]) else { return 0 }
  for offset in 2..<max(length, 2) where text[index + offset] & 0xC0 != 0x80 { return 0 }
  return length
}
