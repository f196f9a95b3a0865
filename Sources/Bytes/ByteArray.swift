extension [UInt8] {
  /// Appends the bytes with one copy: a loop takes 20 instructions for each of them.
  package mutating func append(copying bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { bytes in unsafe append(contentsOf: bytes) }
  }
}
