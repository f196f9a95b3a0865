public import Bytes

/// A request's id: 128 bits, written as 32 hexadecimal digits.
///
/// Public like the functions that write it, so that they are inlined into other modules: an id is written five times per
/// request.
public struct RequestID: Equatable, Sendable {
  package let high: UInt64
  @usableFromInline package let low: UInt64
  /// The digits, computed once.
  @usableFromInline let digits: InlineArray<4, UInt64>

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
    digits = [
      UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: high >> 32)),
      UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: high)),
      UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: low >> 32)), UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: low)),
    ]
  }

  /// An id with the upper half of `other`, whose digits are reused.
  package init(_ other: RequestID, low: UInt64) {
    high = other.high
    self.low = low
    digits = [
      other.digits[0], other.digits[1], UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: low >> 32)),
      UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: low)),
    ]
  }

  /// The 32 digits.
  package var text: String {
    var text: [UInt8] = []
    let digits = ByteBuffer(capacity: 32)
    digits.append(self)
    digits.move(to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  public static func == (left: RequestID, right: RequestID) -> Bool {
    left.high == right.high && left.low == right.low
  }

  /// The digits of the lower half with its last bit set, so that it is not zero.
  @inlinable @inline(__always) var spanDigits: InlineArray<2, UInt64> {
    // The digit after an even one is the next character, for letters too.
    [digits[2], digits[3] &+ (~low & 1) << 56]
  }
}

extension ByteWriter {
  /// Appends the id's 32 digits.
  @inlinable @inline(__always)
  public mutating func append(_ id: RequestID) { append(words: id.digits) }

  /// Appends the 16 digits of the gateway's span in the trace, which are never all zeros (W3C Trace Context §3.2.2.4).
  @inlinable @inline(__always)
  public mutating func append(spanOf id: RequestID) { append(words: id.spanDigits) }
}

extension ByteBuffer {
  /// Appends the id's 32 digits.
  @inlinable @inline(__always)
  public func append(_ id: RequestID) { write(atMost: 32) { $0.append(id) } }
}
