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
}

extension ByteBuffer {
  /// Appends the id's 32 digits.
  package func append(_ id: RequestID) { id.write(to: self) }
}
