import Reactor

/// A request's id: 128 bits, written as 32 hexadecimal digits.
package struct RequestID: Equatable, Sendable {
  package let high: UInt64
  package let low: UInt64
  /// The digits, ready: a request's id is written five times.
  private let digits: InlineArray<4, UInt64>

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
    digits = [
      UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: high >> 32)),
      UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: high)),
      UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: low >> 32)), UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: low)),
    ]
  }

  package static func == (left: RequestID, right: RequestID) -> Bool {
    left.high == right.high && left.low == right.low
  }

  fileprivate func write(to output: ByteBuffer) { output.append(words: digits) }

  /// Writes the lower half with its last bit set, so that it is not zero: 16 digits.
  fileprivate func writeSpan(to output: ByteBuffer) {
    // The digit behind an even one is the next character, for letters too.
    let lastCharacter = digits[3] &+ (~low & 1) << 56
    output.append(words: [digits[2], lastCharacter])
  }
}

extension ByteBuffer {
  /// Appends the id's 32 digits.
  package func append(_ id: RequestID) { id.write(to: self) }

  /// Appends 16 digits that stand for the gateway's part of the request in a trace: never all zeros (W3C Trace Context
  /// §3.2.2.4).
  package func append(spanOf id: RequestID) { id.writeSpan(to: self) }
}
