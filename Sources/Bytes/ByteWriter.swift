/// Appends to a buffer within capacity reserved once.
///
/// Its position is in registers, that of a buffer in memory: a short append is a comparison and a few moves. Writing
/// beyond the reserved capacity traps.
///
/// Public and inlined for the same reason as `ByteBuffer`. Functions that are not inlined take and return positions,
/// because passing the writer itself would move it into memory.
@safe public struct ByteWriter: ~Copyable {
  @usableFromInline var next: UnsafeMutableRawPointer
  @usableFromInline let end: UnsafeMutableRawPointer

  @inlinable @inline(__always)
  init(at next: UnsafeMutableRawPointer, until end: UnsafeMutableRawPointer) {
    unsafe self.next = next
    unsafe self.end = end
  }

  /// Traps unless `count` bytes fit.
  @inlinable @inline(__always)
  func check(_ count: Int) { unsafe precondition(next + count <= end) }

  @inlinable @inline(__always)
  public mutating func append(_ byte: UInt8) {
    check(1)
    unsafe next.storeBytes(of: byte, as: UInt8.self)
    unsafe next += 1
  }

  /// Appends a literal: a few moves once compiled.
  @inlinable @inline(__always)
  public mutating func append(_ text: StaticString) {
    check(text.utf8CodeUnitCount)
    unsafe next.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
    unsafe next += text.utf8CodeUnitCount
  }

  @inlinable @inline(__always)
  public mutating func append(_ bytes: Span<UInt8>) {
    check(bytes.count)
    unsafe next = next.write(bytes)
  }

  @inlinable @inline(__always)
  public mutating func append(_ bytes: [UInt8]) { append(bytes.span) }

  /// Appends a range of `bytes`: two moves if it is short and 32 bytes can be read and written.
  @inlinable @inline(__always)
  public mutating func append(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    let run = bytes.extracting(range)
    guard run.count <= 32, bytes.count &- range.lowerBound >= 32, unsafe next + 32 <= end else { return append(run) }
    unsafe bytes.withUnsafeBytes { source in
      let piece = unsafe source.loadUnaligned(fromByteOffset: range.lowerBound, as: SIMD32<UInt8>.self)
      unsafe next.storeBytes(of: piece, as: SIMD32<UInt8>.self)
    }
    unsafe next += run.count
  }

  /// Appends the first `bytes` bytes of the words, the lowest byte of each first; the whole words must fit.
  @inlinable @inline(__always)
  public mutating func append<let count: Int>(words: InlineArray<count, UInt64>, bytes: Int = count &* 8) {
    check(count &* 8)
    precondition(bytes >= 0 && bytes <= count &* 8)
    for index in words.indices {
      unsafe next.storeBytes(of: words[index].littleEndian, toByteOffset: index &* 8, as: UInt64.self)
    }
    unsafe next += bytes
  }
}

extension ByteWriter {
  /// Copies a run of bytes. Most are short, and a call of memcpy costs more than copying two overlapping pieces.
  @inline(__always)
  static func copy(_ source: UnsafeRawPointer, _ count: Int, to destination: UnsafeMutableRawPointer) {
    switch count {
    case 65...128: unsafe copyEnds(of: source, to: destination, count, as: SIMD64<UInt8>.self)
    case 33...64: unsafe copyEnds(of: source, to: destination, count, as: SIMD32<UInt8>.self)
    case 17...32: unsafe copyEnds(of: source, to: destination, count, as: SIMD16<UInt8>.self)
    case 8...16: unsafe copyEnds(of: source, to: destination, count, as: UInt64.self)
    case 4...7: unsafe copyEnds(of: source, to: destination, count, as: UInt32.self)
    case 2...3: unsafe copyEnds(of: source, to: destination, count, as: UInt16.self)
    case 0: break
    default: unsafe destination.copyMemory(from: source, byteCount: count)
    }
  }

  /// Copies the first and the last `Piece` of a run, which cover it if it is no longer than two of them.
  @inline(__always)
  private static func copyEnds<Piece: BitwiseCopyable>(
    of source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, _ count: Int, as piece: Piece.Type
  ) {
    let last = count &- MemoryLayout<Piece>.size
    let (first, rest) = unsafe (source.loadUnaligned(as: piece), (source + last).loadUnaligned(as: piece))
    unsafe destination.storeBytes(of: first, as: piece)
    unsafe (destination + last).storeBytes(of: rest, as: piece)
  }
}

extension UnsafeMutableRawPointer {
  /// Writes the bytes and returns their end.
  @usableFromInline @inline(never)
  func write(_ bytes: Span<UInt8>) -> Self {
    unsafe bytes.withUnsafeBytes { source in
      if let start = source.baseAddress { unsafe ByteWriter.copy(start, source.count, to: self) }
    }
    return unsafe self + bytes.count
  }
}

extension ByteBuffer {
  /// Reserves `bytesMax` bytes for `body` to append; it must not use this buffer directly.
  @inlinable @inline(__always)
  public func write(atMost bytesMax: Int, _ body: (inout ByteWriter) -> Void) {
    reserve(bytesMax)
    var writer = unsafe ByteWriter(at: storage + used, until: storage + capacity)
    body(&writer)
    used = unsafe writer.next - UnsafeMutableRawPointer(storage)
  }
}
