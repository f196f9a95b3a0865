import Bytes
import Digests

/// Numbers and digests as the journal's files hold them: little-endian; digests as their 32 bytes in order.
extension [UInt8] {
  mutating func append<Number: FixedWidthInteger>(littleEndian number: Number) {
    append(words: [UInt64(truncatingIfNeeded: number)], byteCount: Number.bitWidth / 8)
  }

  mutating func append(_ digest: Digest) {
    let words = digest.wordsInByteOrder
    append(words: [words.0, words.1, words.2, words.3])
  }

  mutating func set<Number: FixedWidthInteger>(littleEndian number: Number, at offset: Int) {
    for index in 0..<Number.bitWidth / 8 { self[offset + index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
  }
}

extension Span<UInt8> {
  @inline(__always)
  func littleEndian<Number: FixedWidthInteger & UnsignedInteger>(_: Number.Type, at offset: Int) -> Number {
    let bytes = extracting(offset..<offset + Number.bitWidth / 8)
    var number: Number = 0
    for index in 0..<Number.bitWidth / 8 {
      number |= Number(truncatingIfNeeded: bytes[index]) &<< Number(truncatingIfNeeded: 8 &* index)
    }
    return number
  }

  @inline(__always)
  func signed(at offset: Int) -> Int64 { Int64(bitPattern: littleEndian(UInt64.self, at: offset)) }

  @inline(__always)
  func digest(at offset: Int) -> Digest {
    func word(_ index: Int) -> UInt64 { littleEndian(UInt64.self, at: offset &+ 8 &* index).byteSwapped }
    return Digest(words: (word(0), word(1), word(2), word(3)))
  }

  /// Copies a part.
  func array(_ range: Range<Int>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(range.count)
    for index in range { bytes.append(self[index]) }
    return bytes
  }

  func text(_ range: Range<Int>) -> String { String(decoding: array(range), as: UTF8.self) }

  /// How many of the last bytes are zeros.
  var zerosAtEnd: Int {
    var start = count
    while start > 0, self[start - 1] == 0 { start -= 1 }
    return count - start
  }

  var areZero: Bool { indices.allSatisfy { self[$0] == 0 } }
}

extension Digest {
  /// Its bytes in order, as little-endian words.
  var wordsInByteOrder: (UInt64, UInt64, UInt64, UInt64) {
    (words.0.byteSwapped, words.1.byteSwapped, words.2.byteSwapped, words.3.byteSwapped)
  }
}
