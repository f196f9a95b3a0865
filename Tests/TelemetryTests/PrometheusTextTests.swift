import Counters
import Testing

@testable import Telemetry

@Suite struct PrometheusTextTests {
  private func text(_ write: (inout PrometheusText) -> Void) -> String {
    var text = PrometheusText()
    write(&text)
    return String(decoding: text.bytes, as: UTF8.self)
  }

  @Test func `a family starts with its help and type`() {
    let written = text {
      $0.family("a_total", .counter, "How often.")
      $0.sample("a_total", [("x", Array("1".utf8)), ("y", [])], value: 3)
      $0.single("b", .gauge, "How much.", -4)
    }
    #expect(
      written == """
        # HELP a_total How often.
        # TYPE a_total counter
        a_total{x="1",y=""} 3
        # HELP b How much.
        # TYPE b gauge
        b -4

        """)
  }

  @Test(arguments: 0..<256) func `a label's value is escaped as the format requires`(value: Int) {
    let byte = UInt8(value)
    let expected: [UInt8] =
      switch byte {
      case UInt8(ascii: "\n"): Array(#"\n"#.utf8)
      case UInt8(ascii: "\""): Array(#"\""#.utf8)
      case UInt8(ascii: "\\"): Array(#"\\"#.utf8)
      default: [byte]
      }
    var text = PrometheusText()
    text.sample("a", [("x", [byte])], value: 1)
    #expect(text.bytes == Array(#"a{x=""#.utf8) + expected + Array("\"} 1\n".utf8))
  }

  static let seconds = [
    (0, "0"), (1, "0.000000001"), (1_000_000_000, "1"), (1_500_000_000, "1.5"), (-250_000_000, "-0.25"),
    (12_345_678_901_234_567, "12345678.901234567"),
  ]

  @Test(arguments: seconds) func `times are written in seconds`(nanoseconds: Int, expected: String) {
    #expect(text { $0.sample("a", nanoseconds: nanoseconds) } == "a \(expected)\n")
  }

  @Test func `a histogram's buckets are cumulative, up to the count`() {
    let histogram = Histogram()
    for duration in [1, 200_000, 2_000_000_000, 90_000_000_000] as [Int64] { histogram.observe(duration) }
    let lines = text { $0.histogram("t", [("x", Array("1".utf8))], histogram.reading) }.split(separator: "\n")
    #expect(lines.count == 21)
    #expect(lines[0] == #"t_bucket{x="1",le="0.0001"} 1"# && lines[1] == #"t_bucket{x="1",le="0.00025"} 2"#)
    #expect(lines[17] == #"t_bucket{x="1",le="60"} 3"# && lines[18] == #"t_bucket{x="1",le="+Inf"} 4"#)
    #expect(lines[19] == #"t_sum{x="1"} 92.000200001"# && lines[20] == #"t_count{x="1"} 4"#)
  }
}
