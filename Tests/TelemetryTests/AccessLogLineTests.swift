import Bytes
import Foundation
import TestValues
import Testing

@testable import Telemetry

struct AccessLogLineTests {
  /// Names from the policy.
  private struct Names {
    var client: [UInt8] = []
    var token: [UInt8] = []
    var instance: [UInt8] = []
    var route: [UInt8] = []
    var operation: [UInt8] = []
    var peer: [UInt8] = []
    var via: [UInt8] = []
  }

  private func line(
    _ record: borrowing ExchangeRecord, _ names: Names = Names(), method: String = "GET", path: [UInt8],
    clientRequestID: [UInt8] = [], traceID: String = ""
  ) -> String {
    var head: [UInt8] = []
    var texts = RequestTexts()
    for (field, text) in [
      (\RequestTexts.method, Array(method.utf8)), (\.path, path), (\.clientRequestID, clientRequestID),
      (\.traceID, Array(traceID.utf8)),
    ] {
      texts[keyPath: field] = head.count..<head.count + text.count
      head += text
    }
    var line = AccessLogLine()
    let out = ByteBuffer(capacity: 1)
    line.append(
      record, client: names.client.span, token: names.token.span, instance: names.instance.span,
      route: names.route.span, operation: names.operation.span, peer: names.peer.span, via: names.via.span, texts,
      in: head.span, to: out)
    return out.text
  }

  private func parsed(_ line: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  @Test
  func `writes every field in its order`() throws {
    var record = ExchangeRecord(
      RequestID(high: 0x0123_4567_89ab_cdef, low: 0xf), startedAt: 1_795_194_369_000_042, status: 502)
    let names = Names(
      client: Array("demo-app".utf8), token: Array("Ann's \"laptop\"".utf8), instance: Array("inst_demo".utf8),
      route: Array("/proxy/balances/:id".utf8), operation: Array("balances.get".utf8), peer: Array("[::1]:5".utf8),
      via: Array("unix".utf8))
    record.tokenDigestPrefix = 0x00ab_cdef
    record.code = "GATEWAY_UPSTREAM_BROKEN"
    record.outcome = "unknown"
    record.bytesIn = 0
    record.bytesOut = 1234
    record.tries = 2
    record.pooled = true
    record.total = 1_234_567
    record.firstByte = 1000
    record.connect = 0
    record.queue = 9
    let expected =
      #"{"time":"2026-11-20T17:06:09.000042Z","request_id":"0123456789abcdef000000000000000f","client_request_id":"#
      + #""mine","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","client":"demo-app","#
      + #""token":"Ann's \"laptop\"","token_sha256":"00abcdef","instance":"inst_demo","method":"GET","#
      + #""route":"/proxy/balances/:id","path":"/proxy/balances/1","operation":"balances.get","status":502,"#
      + #""code":"GATEWAY_UPSTREAM_BROKEN","outcome":"unknown","bytes_in":0,"bytes_out":1234,"total_ms":1234.567,"#
      + #""first_byte_ms":1.000,"connect_ms":0.000,"queue_ms":0.009,"tries":2,"pooled":true,"peer":"[::1]:5","via":"unix"}"#
    let written = line(
      record, names, path: Array("/proxy/balances/1".utf8), clientRequestID: Array("mine".utf8),
      traceID: "4bf92f3577b34da6a3ce929d0e0e4736")
    #expect(written == expected + "\n")
    #expect(try parsed(expected).count == 25)
  }

  @Test
  func `leaves out unknown fields`() throws {
    let record = ExchangeRecord(RequestID(high: 0, low: 0), startedAt: 0, status: 400)
    let expected =
      #"{"time":"1970-01-01T00:00:00.000000Z","request_id":"00000000000000000000000000000000","#
      + #""trace_id":"00000000000000000000000000000000","status":400,"#
      + #""bytes_in":0,"bytes_out":0,"total_ms":0.000,"tries":0}"#
    #expect(line(record, method: "", path: []) == expected + "\n")
  }

  @Test
  func `writes the largest and smallest numbers`() throws {
    var record = ExchangeRecord(RequestID(high: .max, low: .max), startedAt: .min, status: .min)
    record.bytesIn = .max
    record.bytesOut = .min
    record.total = .min
    record.queue = .max
    let fields = try parsed(line(record, path: []))
    #expect(fields["bytes_in"] as? Int == .max)
    #expect(fields["bytes_out"] as? Int == .min)
    #expect(line(record, path: []).contains(#""total_ms":-9223372036854775.808"#))
    record.begin(record.requestID, startedAt: .max)
    #expect(try parsed(line(record, path: []))["bytes_in"] as? Int == 0)
  }

  /// A line that exceeds the reserved capacity traps.
  @Test(arguments: [0, 1, 7, 8, 16, 100, 9_000])
  func `reserves enough for the longest numbers and texts that consist of escapes`(count: Int) throws {
    let bytes = [UInt8](repeating: 0, count: count)
    let text = String(repeating: "\0", count: count)
    var record = ExchangeRecord(RequestID(high: .max, low: .max), startedAt: .max, status: .min)
    record.tokenDigestPrefix = .max
    (record.bytesIn, record.bytesOut, record.tries, record.pooled) = (.min, .min, .min, false)
    (record.total, record.firstByte, record.connect, record.queue) = (.min, .min, .min, .min)
    (record.code, record.outcome, record.fault) = (text, text, text)
    let names = Names(
      client: bytes, token: bytes, instance: bytes, route: bytes, operation: bytes, peer: bytes, via: bytes)
    let written = line(record, names, method: text, path: bytes, clientRequestID: bytes, traceID: text)
    #expect(written.utf8.count > 400 + 14 * 6 * count)
    let fields = try parsed(written)
    #expect(fields["tries"] as? Int == .min)
    for name in ["code", "outcome", "fault", "peer", "method"] where count > 0 {
      #expect(fields[name] as? String == text)
    }
  }

  @Test(arguments: 0..<256)
  func `escapes every byte so that parsing restores it`(value: Int) throws {
    let byte = UInt8(value)
    let record = ExchangeRecord(RequestID(high: 1, low: 2), startedAt: 3, status: 4)
    for bytes in [[byte], [0x61, byte], [byte, 0x61], [byte, byte], [0x61, byte, 0x22, byte, 0x5C]] {
      let text = line(record, Names(token: bytes, instance: bytes), path: bytes, clientRequestID: bytes)
      let expected = String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
      for name in ["path", "client_request_id", "token", "instance"] {
        #expect(try parsed(text)[name] as? String == expected)
      }
      #expect(text.utf8.filter { $0 == 0x0A }.count == 1)
    }
  }

  @Test(arguments: [
    ("é€😀", Array("é€😀".utf8)),
    ("\u{C0}\u{80}", [0xC0, 0x80]),  // overlong
    ("\u{ED}\u{A0}\u{80}", [0xED, 0xA0, 0x80]),  // a surrogate
    ("\u{F4}\u{90}\u{80}\u{80}", [0xF4, 0x90, 0x80, 0x80]),  // past U+10FFFF
    ("\u{E2}\u{82}", [0xE2, 0x82]),  // cut short
    ("\u{E2}a\u{82}", [0xE2, 0x61, 0x82]),
    ("\u{F0}\u{9F}\u{98}é", [0xF0, 0x9F, 0x98, 0xC3, 0xA9]),
    ("\u{7F}\u{85}", [0x7F, 0x85]),
  ])
  func `keeps well-formed sequences and escapes the rest`(text: String, path: [UInt8]) throws {
    let record = ExchangeRecord(RequestID(high: 1, low: 2), startedAt: 3, status: 4)
    let fields = try parsed(line(record, path: path))
    #expect(fields["path"] as? String == text)
  }

  @Test
  func `writes every day from 1970 to 2400`() {
    var date = CachedDate()
    let format = Date.ISO8601FormatStyle()
    for day in stride(from: Int64(0), to: 157_100, by: 1) {
      let second = day * 86_400 + day % 86_400
      let out = ByteBuffer(capacity: 32)
      out.write(atMost: CachedDate.bytesMax) { date.append(second * 1_000_000 + 7, to: &$0) }
      let expected = Date(timeIntervalSince1970: Double(second)).formatted(format).dropLast() + ".000007Z"
      guard out.text != expected else { continue }
      Issue.record("\(expected)")
      return
    }
  }

  @Test
  func `changes with every second, also backwards`() {
    var date = CachedDate()
    let out = ByteBuffer(capacity: 32)
    for time in [59_999_999, 60_000_000, 61_000_000, 61_500_000, 59_000_000] {
      out.write(atMost: CachedDate.bytesMax) { date.append(Int64(time), to: &$0) }
      out.append(" ")
    }
    #expect(
      out.text
        == "1970-01-01T00:00:59.999999Z 1970-01-01T00:01:00.000000Z 1970-01-01T00:01:01.000000Z "
        + "1970-01-01T00:01:01.500000Z 1970-01-01T00:00:59.000000Z ")
  }
}
