import SandboxCore
import Testing

struct SandboxLedgerTests {
  private static let key = "core-master-key-0001"

  private func answer(
    _ ledger: inout SandboxLedger, _ method: String, _ target: String, _ body: String = ""
  ) -> (status: Int, body: String) {
    let answer = ledger.answer(
      SandboxRequest(method: method, target: target, key: Self.key, body: Array(body.utf8)))
    return (answer.status, String(decoding: answer.body, as: UTF8.self))
  }

  @Test(arguments: [
    ("123456789012345", "123456789012345"),
    ("12345678901234567890", "12345678901234567000"),
    ("9007199254740993", "9007199254740992"),
    ("1.10", "1.1"),
    ("100", "100"),
    ("1e2", "100"),
    ("0.000001", "0.000001"),
    ("0.00000012", "1.2e-7"),
    ("1e20", "100000000000000000000"),
    ("1e21", "1e+21"),
    ("-1234.5e30", "-1.2345e+33"),
    ("-0", "-0"),
    ("0.30000000000000004", "0.30000000000000004"),
    ("5e-324", "5e-324"),
  ])
  func `keeps the digits of a number in metadata as far as a float64 does`(sent: String, kept: String) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let body = answer(&ledger, "POST", "/ledgers", #"{"name":"n","meta_data":{"x":[\#(sent)]}}"#).body
    #expect(body.hasSuffix(#""meta_data":{"x":[\#(kept)]}}"#), "\(body)")
  }

  @Test(arguments: [
    (
      #"{"name":"n","meta_data":{"x":1e999}}"#,
      "json: cannot unmarshal number 1e999 into Go struct field CreateLedger.meta_data of type float64"
    ),
    (#"{"name":true}"#, "json: cannot unmarshal bool into Go struct field CreateLedger.name of type string"),
    (
      #"{"name":[1],"meta_data":"x"}"#,
      "json: cannot unmarshal array into Go struct field CreateLedger.name of type string"
    ),
    (
      #"{"meta_data":5}"#,
      "json: cannot unmarshal number into Go struct field CreateLedger.meta_data of type map[string]interface {}"
    ),
    (#""name""#, "json: cannot unmarshal string into Go value of type model.CreateLedger"),
    ("null", "name: cannot be blank."),
  ])
  func `tells a wrong type as Go does`(body: String, message: String) throws {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let (status, text) = answer(&ledger, "POST", "/ledgers", body)
    #expect(status == 400)
    #expect(text.hasSuffix(#""errors":"\#(message)"}"#), "\(text)")
  }

  @Test
  func `reads names without case and takes the last of equal ones`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let body = answer(&ledger, "POST", "/ledgers", #"{"name":"a","NAME":"b","meta_data":{"k":1,"a":2,"k":3},"x":1}"#)
      .body
    #expect(body.contains(#""name":"b""#))
    #expect(body.hasSuffix(#""meta_data":{"a":2,"k":3}}"#))
  }

  @Test(arguments: [
    ("1990-05-15T00:00:00Z", nil),
    ("1990-05-15T00:00:00.125+01:00", nil),
    ("1990-02-29T00:00:00Z", "day out of range"),
    ("1990-13-01T00:00:00Z", "month out of range"),
    ("1990-05-15T24:00:00Z", "hour out of range"),
    ("1990-05-15T00:00:00", #"cannot parse \"\" as \"Z07:00\""#),
    ("1990-05-15T00:00:00Zx", #"extra text: \"x\""#),
    ("15 May 1990", #"cannot parse \"15 May 1990\" as \"2006\""#),
    ("1990-05-15T00:00:00++1:00", #"cannot parse \"++1:00\" as \"Z07:00\""#),
  ])
  func `reads a birthday as RFC 3339`(text: String, fault: String?) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let (status, body) = answer(&ledger, "POST", "/identities", #"{"dob":"\#(text)"}"#)
    #expect(status == (fault == nil ? 201 : 400))
    if let fault { #expect(body.contains(#"as \"2006-01-02T15:04:05Z07:00\": \#(fault)""#), "\(body)") }
  }

  @Test
  func `refuses a body over 5 MiB`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    func body(_ count: Int) -> String { #"{"name":""# + String(repeating: "a", count: count - 11) + #""}"# }
    #expect(answer(&ledger, "POST", "/ledgers", body(5_242_880)).status == 201)
    let (status, text) = answer(&ledger, "POST", "/identities", body(5_242_881))
    #expect(status == 400)
    #expect(text.contains("http: request body too large"))
  }

  @Test(arguments: [
    ("/balances/%zz", 400), ("/balances/%6", 400), ("balances", 400), ("", 400), ("*", 400),
    ("//", 404), ("/balances//", 404), ("/balances/x%2F", 404), ("/ledgers?limit=9223372036854775808", 400),
    ("/ledgers?limit=9223372036854775807&offset=9223372036854775807", 200), ("/balances?limit=", 400),
    ("/balances?limit=5&limit=0", 200), ("/balances?limit=%35", 200), ("/balances?limit=5;limit=0", 200),
    ("/health/", 301), ("/health?x=%zz", 200), ("http://h", 200), ("http://h/ledgers", 200),
  ])
  func `takes targets as Go's server does`(target: String, status: Int) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    #expect(answer(&ledger, "GET", target).status == status)
  }

  @Test
  func `gives the time of making in nanoseconds first and rounded to microseconds later`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let made = answer(&ledger, "POST", "/ledgers", #"{"name":"n"}"#).body
    #expect(made.contains(#""created_at":"2026-11-20T17:06:09.427443233Z""#), "\(made)")
    let listed = answer(&ledger, "GET", "/ledgers?limit=1").body
    #expect(listed.contains(#""created_at":"2026-11-20T17:06:09.427443Z""#), "\(listed)")
    var half = SandboxLedger(key: Self.key, clock: { 1_500 }, makeUUID: { "u" })
    #expect(answer(&half, "GET", "/ledgers").body.contains(#""1970-01-01T00:00:00.000002Z""#))
  }

  @Test
  func `sends no redirect for an unknown route`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    #expect(answer(&ledger, "GET", "/nope/").status == 404)
    #expect(answer(&ledger, "PATCH", "/balances/").status == 404)
    #expect(answer(&ledger, "PUT", "/identities/a/").status == 307)
  }

  @Test
  func `refuses more records than it may keep`() {
    var ledger = SandboxLedger.numbered(key: Self.key, recordsMax: 2)
    #expect(answer(&ledger, "POST", "/identities", "{}").status == 201)
    #expect(answer(&ledger, "POST", "/identities", "{}").status == 500)
    #expect(answer(&ledger, "GET", "/ledgers").status == 200)
  }

  @Test
  func `an update of nothing is refused and a null changes nothing`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let id = "idt_9f0c1a52-4a7e-4d3f-8a51-0e6c5cf0a001"
    _ = answer(&ledger, "POST", "/identities", #"{"identity_id":"\#(id)","city":"Rome","meta_data":{"a":1}}"#)
    #expect(answer(&ledger, "PUT", "/identities/\(id)", #"{"city":null,"meta_data":null}"#).status == 400)
    #expect(answer(&ledger, "PUT", "/identities/\(id)", #"{"city":"","state":"RM"}"#).status == 200)
    let body = answer(&ledger, "GET", "/identities/\(id)").body
    #expect(body.contains(#""state":"RM""#) && body.contains(#""city":"Rome""#) && body.contains(#"{"a":1}"#))
  }
}
