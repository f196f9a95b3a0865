/// Writes behind the bytes of a buffer, into room that is made once for all that is to come.
///
/// Its place is in registers, where that of a buffer is in memory: an append of few bytes is a comparison and a few
/// moves. Room that was asked for too small ends the process; nothing is ever written beyond it.
///
/// Public, and inlined, for the reason that `ByteBuffer` gives; what is not inlined takes and returns places, since to
/// lend the writer itself to a call would move it into memory.
@safe public struct ByteWriter: ~Copyable {
  @usableFromInline var next: UnsafeMutableRawPointer
  @usableFromInline let end: UnsafeMutableRawPointer

  @inlinable @inline(__always)
  init(at next: UnsafeMutableRawPointer, until end: UnsafeMutableRawPointer) {
    unsafe self.next = next
    unsafe self.end = end
  }

  /// Sees to it that `count` bytes have room.
  @inlinable @inline(__always)
  func check(_ count: Int) { unsafe precondition(next + count <= end) }

  @inlinable @inline(__always)
  public mutating func append(_ byte: UInt8) {
    check(1)
    unsafe next.storeBytes(of: byte, as: UInt8.self)
    unsafe next += 1
  }

  /// A literal is a few moves.
  @inlinable @inline(__always)
  public mutating func append(_ text: StaticString) {
    check(text.utf8CodeUnitCount)
    unsafe next.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
    unsafe next += text.utf8CodeUnitCount
  }

  /// Appends the first `bytes` bytes of the words, of each the lowest one first; there must be room for all.
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

extension ByteBuffer {
  /// Lets `body` append up to `bytesMax` bytes; it must not use this buffer otherwise.
  @inlinable @inline(__always)
  public func write(atMost bytesMax: Int, _ body: (inout ByteWriter) -> Void) {
    reserve(bytesMax)
    var writer = unsafe ByteWriter(at: storage + held, until: storage + capacity)
    body(&writer)
    held = unsafe writer.next - UnsafeMutableRawPointer(storage)
  }
}
