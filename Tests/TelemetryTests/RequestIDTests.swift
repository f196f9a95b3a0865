import Bytes
import TestValues
import Testing

@testable import Telemetry

@Suite struct RequestIDTests {
  @Test(arguments: [
    (UInt64(0), "0000000000000000"), (0x0123_4567_89ab_cdef, "0123456789abcdef"), (.max, "ffffffffffffffff"),
  ])
  func `is written as 32 digits`(half: UInt64, text: String) {
    let buffer = ByteBuffer(capacity: 1)
    buffer.append(RequestID(high: half, low: 0xa))
    buffer.append(RequestID(high: 1, low: half))
    #expect(buffer.text == text + "000000000000000a" + "0000000000000001" + text)
  }

  @Test func `the span id is the lower half with the last bit set`() {
    for low in (0..<UInt64(512)).flatMap({ [$0, ~$0, $0 << 60 | $0 << 28 | $0] }) {
      let (written, expected) = (ByteBuffer(capacity: 1), ByteBuffer(capacity: 1))
      written.write(atMost: 16) { $0.append(spanOf: RequestID(high: .max, low: low)) }
      expected.append(hex: low | 1, digits: 16)
      #expect(written.text == expected.text)
    }
  }
}
