import Glibc

extension Span<UInt8> {
  /// Whether one of the bytes is this one (memchr(3)): a loop takes 10 instructions for each of them.
  package func contains(_ byte: UInt8) -> Bool {
    unsafe withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return false }
      return unsafe memchr(start, Int32(byte), bytes.count) != nil
    }
  }
}

extension [UInt8] {
  /// Appends the bytes with one copy: a loop takes 20 instructions for each of them.
  package mutating func append(copying bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { bytes in unsafe append(copying: bytes) }
  }

  /// Appends the first `byteCount` bytes of the words, the lowest byte of each first, with one copy. Public and inlined for the
  /// same reason as `ByteBuffer`.
  @inlinable @inline(__always)
  public mutating func append<let count: Int>(words: InlineArray<count, UInt64>, byteCount: Int = count &* 8) {
    precondition(byteCount >= 0 && byteCount <= count &* 8)
    var ordered = words
    for index in ordered.indices { ordered[index] = ordered[index].littleEndian }
    unsafe ordered.span.withUnsafeBytes { source in
      let bytes = unsafe UnsafeBufferPointer(rebasing: source.assumingMemoryBound(to: UInt8.self)[..<byteCount])
      unsafe append(copying: bytes)
    }
  }

  /// Not inlined, so that it is compiled once.
  @usableFromInline @inline(never)
  mutating func append(copying bytes: UnsafeBufferPointer<UInt8>) { unsafe append(contentsOf: bytes) }
}
