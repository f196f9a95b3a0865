/// The beginning of a text that stands in a JSON string as it is (RFC 8259 §7): ASCII without control bytes, quotes and
/// backslashes.
extension ByteWriter {
  /// Copies it to where the whole text and 8 bytes fit; returns how many bytes it has.
  ///
  /// Almost always it is all of the text, so it is looked at 16 bytes at a time, and copied with the same load.
  @inline(__always)
  static func copyPlainBeginning(of text: Span<UInt8>, to target: UnsafeMutableRawPointer) -> Int {
    unsafe text.withUnsafeBytes { bytes in
      guard let source = bytes.baseAddress else { return 0 }
      return unsafe copyPlainBeginning(of: source, bytes.count, to: target, stopsAtK: false)
    }
  }

  /// Copies a text to where it and 8 bytes fit, and tells whether it is plain and has no `k` in either case.
  @inline(__always)
  static func copyPlainWithoutK(_ text: Span<UInt8>, to target: UnsafeMutableRawPointer) -> Bool {
    unsafe text.withUnsafeBytes { bytes in
      guard let source = bytes.baseAddress else { return true }
      return unsafe copyPlainBeginning(of: source, bytes.count, to: target, stopsAtK: true) == bytes.count
    }
  }

  /// - Parameter stopsAtK: whether `k` is not plain either; then less than the plain beginning may be copied.
  @inline(__always)
  private static func copyPlainBeginning(
    of source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer, stopsAtK: Bool
  ) -> Int {
    var index = 0
    while count &- index >= 16, unsafe copy(source + index, to: target + index, stopsAtK) { index &+= 16 }
    if count >= 16 {
      // The last ones together with some that were copied already.
      if index > count &- 16, unsafe copy(source + (count &- 16), to: target + (count &- 16), stopsAtK) { return count }
    } else if count >= 8 {
      let (first, last) = unsafe (
        source.loadUnaligned(as: UInt64.self), source.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
      )
      unsafe target.storeBytes(of: first, as: UInt64.self)
      unsafe target.storeBytes(of: last, toByteOffset: count &- 8, as: UInt64.self)
      if arePlain(SIMD2(first, last), stopsAtK) { return count }
    } else if count > 0 {
      let word = unsafe word(source, count)
      unsafe target.storeBytes(of: word.littleEndian, as: UInt64.self)
      // Behind the text, spaces are plain.
      if arePlain(SIMD2(repeating: word | 0x2020_2020_2020_2020 &<< UInt64(count &* 8)), stopsAtK) { return count }
    }
    if stopsAtK { return min(index, count &- 1) }
    while index < count {
      let byte = unsafe source.load(fromByteOffset: index, as: UInt8.self)
      guard byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { break }
      unsafe target.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
      index &+= 1
    }
    return index
  }

  /// Copies 16 bytes, and tells whether they are plain.
  @inline(__always)
  private static func copy(
    _ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ stopsAtK: Bool
  ) -> Bool {
    let words = unsafe source.loadUnaligned(as: SIMD2<UInt64>.self)
    unsafe target.storeBytes(of: words, as: SIMD2<UInt64>.self)
    return arePlain(words, stopsAtK)
  }

  /// The one to seven bytes of a text, the first one lowest: two loads that overlap, or three single bytes.
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

  /// Whether no byte is a control byte, beyond ASCII, a quote or a backslash, or a `k` where that counts.
  ///
  /// Each of the three sets the highest bit of a byte that it looks for; what it carries over into the next byte comes
  /// from such a byte alone.
  @inline(__always)
  private static func arePlain(_ words: SIMD2<UInt64>, _ stopsAtK: Bool) -> Bool {
    // The quote, 0x22, changes places with 0x20, just behind the control bytes.
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
