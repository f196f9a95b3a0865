import SandboxCore
import Testing

struct FilterTests {
  private static let key = "core-master-key-0001"

  /// Four identities; the clock gives the first of them 2026-11-20.
  private static func ledger() -> SandboxLedger {
    var ledger = SandboxLedger.numbered(key: key)
    ledger.create("/identities", #"{"first_name":"Ann","category":"customer","city":"Rome"}"#)
    ledger.create("/identities", #"{"first_name":"Bob","category":"customer","dob":"1990-05-15T00:00:00Z"}"#)
    ledger.create("/identities", #"{"first_name":"ann%","category":"merchant","city":"Bonn"}"#)
    ledger.create("/identities", #"{"first_name":"Zoë","category":"100"}"#)
    return ledger
  }

  private func names(_ answer: SandboxResponse) -> String {
    let text = String(decoding: answer.body, as: UTF8.self)
    return text.matches(of: /"first_name":"([^"]*)"/).map { String($0.1) }.joined(separator: " ")
  }

  @Test(arguments: [
    (#""field":"category","operator":"eq","value":"customer""#, "Bob Ann"),
    (#""field":"category","operator":"ne","value":"customer""#, "Zoë ann%"),
    (#""field":"first_name","operator":"gt","value":"Bob""#, "Zoë ann%"),
    (#""field":"first_name","operator":"gte","value":"Zoë""#, "Zoë ann%"),
    (#""field":"first_name","operator":"lt","value":"Bob""#, "Ann"),
    (#""field":"first_name","operator":"lte","value":"Bob""#, "Bob Ann"),
    (#""field":"first_name","operator":"in","values":["Bob","Ann","x"]"#, "Bob Ann"),
    (#""field":"first_name","operator":"in","values":[]"#, ""),
    (#""field":"first_name","operator":"between","values":["B","Z"]"#, "Bob"),
    (#""field":"first_name","operator":"like","value":"%nn%""#, "ann% Ann"),
    (#""field":"first_name","operator":"like","value":"An_""#, "Ann"),
    (#""field":"first_name","operator":"like","value":"%b""#, "Bob"),
    (#""field":"first_name","operator":"like","value":"b""#, ""),
    (#""field":"first_name","operator":"ilike","value":"ANN%""#, "ann% Ann"),
    (#""field":"city","operator":"isnull""#, "Zoë Bob"),
    (#""field":"city","operator":"isnotnull""#, "ann% Ann"),
    (#""field":"city","operator":"ne","value":"Rome""#, "ann%"),
    (#""field":"city","operator":"eq""#, ""),
    (#""field":"dob","operator":"eq","value":"1990-05-15T01:00:00+01:00""#, "Bob"),
    (#""field":"created_at","operator":"gte","value":"2026-11-20""#, "Zoë ann% Bob Ann"),
    (#""field":"created_at","operator":"lt","value":"2026-11-20""#, ""),
    (#""field":"created_at","operator":"lt","value":"soon""#, ""),
  ])
  func `finds what an operator asks for`(condition: String, found: String) {
    var ledger = Self.ledger()
    #expect(names(ledger.create("/identities/filter", #"{"filters":[{\#(condition)}]}"#)) == found)
  }

  @Test(arguments: [
    (#""limit":1"#, "Zoë"), (#""limit":2,"offset":1"#, "ann% Bob"), (#""limit":0"#, "Zoë ann% Bob Ann"),
    (#""limit":101"#, "Zoë ann% Bob Ann"), (#""offset":-1,"sort_order":"ASC""#, "Ann Bob ann% Zoë"),
    (#""sort_by":"first_name""#, "ann% Zoë Bob Ann"),
    (#""sort_by":"first_name","sort_order":"asc""#, "Ann Bob Zoë ann%"),
    (#""sort_by":"nope""#, "Zoë ann% Bob Ann"), (#""offset":9"#, ""),
  ])
  func `sorts and cuts`(options: String, found: String) {
    var ledger = Self.ledger()
    #expect(names(ledger.create("/identities/filter", #"{"filters":[],\#(options)}"#)) == found)
  }

  @Test(arguments: [(100, 30), (101, 20), (21, 21)])
  func `gives at most a hundred and without a valid limit twenty`(limit: Int, found: Int) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    for _ in 0..<30 { ledger.create("/identities", #"{"first_name":"a"}"#) }
    let answer = ledger.create("/identities/filter", #"{"filters":[],"limit":\#(limit)}"#)
    #expect(names(answer).split(separator: " ").count == found)
  }

  @Test
  func `joins conditions by and, or by or`() {
    var ledger = Self.ledger()
    let filters =
      #""filters":[{"field":"city","operator":"isnotnull"},{"field":"category","operator":"eq","value":"customer"}]"#
    #expect(names(ledger.create("/identities/filter", "{\(filters)}")) == "Ann")
    #expect(names(ledger.create("/identities/filter", #"{\#(filters),"logical_operator":"OR"}"#)) == "ann% Bob Ann")
  }

  @Test(arguments: [
    ("first_name_in=Ann,Bob", "Bob Ann"), ("first_name_between=B|Z", "Bob"), ("limit=1", "Zoë ann% Bob Ann"),
    ("category_eq=customer&limit=1&offset=1", "Ann"), ("city_isnull=true&limit=x", "Zoë Bob"),
    ("page=2", "Zoë ann% Bob Ann"),
    ("first_name_ilike=%25NN%25", "ann% Ann"),
  ])
  func `reads conditions from the query of a list`(query: String, found: String) {
    var ledger = Self.ledger()
    let request = SandboxRequest(method: "GET", target: "/identities?\(query)", key: Self.key)
    #expect(names(ledger.answer(request)) == found)
  }

  @Test
  func `a pattern of many percents takes no time to fail`() {
    var ledger = Self.ledger()
    ledger.create("/identities", #"{"first_name":"\#(String(repeating: "a", count: 5000))"}"#)
    let pattern = String(repeating: "%a", count: 500) + "b"
    let body = #"{"filters":[{"field":"first_name","operator":"like","value":"\#(pattern)"}]}"#
    let start = ContinuousClock.now
    #expect(names(ledger.create("/identities/filter", body)) == "")
    #expect(ContinuousClock.now - start < .seconds(10))
  }
}
