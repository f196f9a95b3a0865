/// Copying the bytes that need no escape in a JSON string (RFC 8259 §7): ASCII except control bytes, quotes and
/// backslashes, called plain below.
extension ByteWriter {
  /// Copies the longest plain prefix of `text` and returns its length; the whole text and 8 more bytes must fit.
  ///
  /// The text is almost always all plain, so it is checked 16 bytes at a time and copied with the same load.
  @inline(__always)
  static func copyPlainPrefix(of text: Span<UInt8>, to destination: UnsafeMutableRawPointer) -> Int {
    unsafe text.withUnsafeBytes { bytes in
      guard let source = bytes.baseAddress else { return 0 }
      return unsafe copyPlainPrefix(of: source, bytes.count, to: destination, stopsAtK: false)
    }
  }

  /// Copies a text and returns whether it is plain and has no `k` in either case; 8 more bytes must fit.
  @inline(__always)
  static func copyPlainWithoutK(_ text: Span<UInt8>, to destination: UnsafeMutableRawPointer) -> Bool {
    unsafe text.withUnsafeBytes { bytes in
      guard let source = bytes.baseAddress else { return true }
      return unsafe copyPlainPrefix(of: source, bytes.count, to: destination, stopsAtK: true) == bytes.count
    }
  }

  /// - Parameter stopsAtK: also stops at `k` in either case; the returned length may then be less than the plain prefix.
  @inline(__always)
  private static func copyPlainPrefix(
    of source: UnsafeRawPointer, _ count: Int, to destination: UnsafeMutableRawPointer, stopsAtK: Bool
  ) -> Int {
    var index = 0
    while count &- index >= 16, unsafe copy(source + index, to: destination + index, stopsAtK) { index &+= 16 }
    if count >= 16 {
      // The last 16 bytes, some of which have been copied already.
      if index > count &- 16, unsafe copy(source + (count &- 16), to: destination + (count &- 16), stopsAtK) {
        return count
      }
    } else if count >= 8 {
      let (first, last) = unsafe (
        source.loadUnaligned(as: UInt64.self), source.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
      )
      unsafe destination.storeBytes(of: first, as: UInt64.self)
      unsafe destination.storeBytes(of: last, toByteOffset: count &- 8, as: UInt64.self)
      if arePlain(SIMD2(first, last), stopsAtK) { return count }
    } else if count > 0 {
      let word = unsafe word(source, count)
      unsafe destination.storeBytes(of: word.littleEndian, as: UInt64.self)
      // The bytes beyond the text are set to spaces, which are plain.
      if arePlain(SIMD2(repeating: word | 0x2020_2020_2020_2020 &<< UInt64(count &* 8)), stopsAtK) { return count }
    }
    if stopsAtK { return min(index, count &- 1) }
    while index < count {
      let byte = unsafe source.load(fromByteOffset: index, as: UInt8.self)
      guard byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { break }
      unsafe destination.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
      index &+= 1
    }
    return index
  }

  /// Copies 16 bytes and returns whether they are plain.
  @inline(__always)
  private static func copy(
    _ source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, _ stopsAtK: Bool
  ) -> Bool {
    let words = unsafe source.loadUnaligned(as: SIMD2<UInt64>.self)
    unsafe destination.storeBytes(of: words, as: SIMD2<UInt64>.self)
    return arePlain(words, stopsAtK)
  }

  /// The one to seven bytes of a text, little-endian, zero-padded, from two overlapping loads or three single bytes.
  @inline(__always)
  private static func word(_ source: UnsafeRawPointer, _ count: Int) -> UInt64 {
    if count >= 4 {
      let (first, last) = unsafe (
        source.loadUnaligned(as: UInt32.self), source.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
      )
      return UInt64(UInt32(littleEndian: first)) | UInt64(UInt32(littleEndian: last)) &<< UInt64((count &- 4) &* 8)
    }
    let (middle, end) = (count &>> 1, count &- 1)
    let (first, second, third) = unsafe (
      source.load(as: UInt8.self), source.load(fromByteOffset: middle, as: UInt8.self),
      source.load(fromByteOffset: end, as: UInt8.self)
    )
    return UInt64(first) | UInt64(second) &<< UInt64(middle &* 8) | UInt64(third) &<< UInt64(end &* 8)
  }

  /// Whether all bytes are plain, and with `stopsAtK` none is `k`.
  ///
  /// Each term sets the top bit of the bytes it searches for. Only such a byte carries into the next one, so carries cause
  /// no false result.
  @inline(__always)
  private static func arePlain(_ words: SIMD2<UInt64>, _ stopsAtK: Bool) -> Bool {
    // XOR swaps the quote, 0x22, with 0x20, the first byte after the control bytes.
    let controlsAndQuotes = (words ^ all(0x02)) &- all(0x21)
    let backslashes = (words ^ all(UInt8(ascii: "\\"))) &- all(1)
    let deleteAndBeyond = words &+ all(1)
    var odd = controlsAndQuotes | backslashes | deleteAndBeyond
    if stopsAtK { odd |= ((words | all(0x20)) ^ all(UInt8(ascii: "k"))) &- all(1) }
    return (odd[0] | odd[1]) & 0x8080_8080_8080_8080 == 0
  }

  @inline(__always)
  private static func all(_ byte: UInt8) -> SIMD2<UInt64> { SIMD2(repeating: 0x0101_0101_0101_0101 &* UInt64(byte)) }
}
