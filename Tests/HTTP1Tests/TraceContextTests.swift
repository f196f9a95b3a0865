import HTTP1
import Testing

/// <https://www.w3.org/TR/trace-context-1/>, §3.2 and §4.3.
@Suite struct TraceContextTests {
  private static let ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"

  static let valid = [
    ("00-\(ids)-00", false), ("00-\(ids)-01", true), ("00-\(ids)-02", false), ("00-\(ids)-ff", true),
    ("00-\(ids)-0a", false), ("00-\(ids)-0b", true), ("00-\(ids)-0d", true), ("00-\(ids)-0e", false),
    ("01-\(ids)-01", true), ("fe-\(ids)-01", true), ("cc-\(ids)-01-what-comes-later", true), ("01-\(ids)-00-", false),
  ]

  private func parse(_ bytes: [UInt8], _ value: Range<Int>? = nil) -> TraceContext? {
    TraceContext(bytes.span, value ?? bytes.indices)
  }

  @Test(arguments: valid)
  func `continues a trace of this version or a later one`(value: String, isSampled: Bool) throws {
    // Not at the start of the bytes.
    let bytes = Array("ab\(value)cd".utf8)
    let trace = try #require(parse(bytes, 2..<bytes.count - 2))
    #expect(String(decoding: bytes[trace.traceID], as: UTF8.self) == "4bf92f3577b34da6a3ce929d0e0e4736")
    #expect(trace.isSampled == isSampled)
  }

  static let invalid = [
    "", "00", "ff-\(ids)-01", "0-\(ids)-01", "000-\(ids)-01", "0g-\(ids)-01", "0A-\(ids)-01", "00-\(ids)-0",
    "00-\(ids)-1", "00-\(ids)-0A", "00-\(ids)-0g", "00-\(ids)-01-", "00-\(ids)-01-later", "01-\(ids)-01later",
    "01-\(ids)-01.", "00-\(ids)", "00_\(ids)-01", "00-\(ids)_01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", "\(ids)-01",
  ]

  @Test(arguments: invalid) func `starts a new trace if the value is malformed`(value: String) {
    #expect(parse(Array(value.utf8)) == nil)
  }

  @Test func `rejects a value with any one byte changed`() {
    let value = Array("00-\(Self.ids)-01".utf8)
    for index in value.indices {
      for byte in [0x00, 0x20, 0x2E, 0x47, 0x67, 0x7E, 0xFF] as [UInt8] {
        var damaged = value
        damaged[index] = byte
        #expect(parse(damaged) == nil, "byte \(byte) at \(index)")
      }
    }
  }
}
