import Testing

@testable import Policies

@Suite struct ValueTests {
  @Test(arguments: ["inst_demo", "inst-003", "a", "7", "A.b", String(repeating: "x", count: 64)])
  func `takes names`(text: String) {
    #expect(InstanceID(text)?.text == text)
    #expect(ClientID(text)?.text == text)
  }

  @Test(arguments: [
    "", ".", "..", "-a", "_a", "a b", "a/b", "a%2f", "é", "a\u{0}", "*", String(repeating: "x", count: 65),
  ])
  func `rejects names that need escapes or a look twice`(text: String) {
    #expect(InstanceID(text) == nil)
    #expect(ClientID(text) == nil)
  }

  @Test(arguments: ["", "*", "a b", "a\"", "a\\", "é", "a\t", String(repeating: "x", count: 129)])
  func `rejects an invalid scope-token`(text: String) {
    #expect(Scope(text) == nil)
  }

  @Test(arguments: [
    ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("::", "::"),
    ("::1", "::1"), ("1::", "1::"), ("2001:DB8::0:1", "2001:db8::1"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
    ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"), ("::ffff:10.1.2.3", "10.1.2.3"),
    ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"), ("0:0:1:1:0:0:1:1", "::1:1:0:0:1:1"), ("fe80::", "fe80::"),
  ])
  func `reads addresses and prints them canonically`(text: String, canonical: String) {
    #expect(IPAddress(text)?.description == canonical)
  }

  @Test(arguments: [
    "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1..2.3", "+1.2.3.4", ":", ":::", "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::1%eth0", "1:2:3:4:5:6:7:8::", "1.2.3.4::", " ::1", "localhost",
  ])
  func `rejects an invalid address`(text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test(arguments: [
    ("0.0.0.0/0", "10.0.0.1", true), ("0.0.0.0/0", "::1", false), ("::/0", "::1", true), ("::/0", "10.0.0.1", false),
    ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false), ("10.1.2.3", "10.1.2.3", true),
    ("10.1.2.3/32", "10.1.2.2", false), ("10.0.0.0/8", "::ffff:10.0.0.1", true),
    ("2001:db8::/32", "2001:db8:1::", true),
    ("2001:db8::/32", "2001:db9::", false), ("2001:db8::/65", "2001:db8::7fff:0:0:1", true),
    ("2001:db8::/65", "2001:db8::8000:0:0:1", false), ("::1/128", "::1", true),
    ("2001:db8::/64", "2001:db8:0:1::", false),
  ])
  func `knows which addresses a network contains`(network: String, address: String, contains: Bool) throws {
    #expect(try #require(Network(network)).contains(try #require(IPAddress(address))) == contains)
  }

  @Test(arguments: [
    "", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/", "10.0.0.0/08x", "/8", "10.0.0.0/-1", "::ffff:10.0.0.0/104",
    "x",
    "2001:db8::1/64", "10.0.0.0/8/8",
  ])
  func `rejects an invalid network`(text: String) {
    #expect(Network(text) == nil)
  }

  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0), ("2027-01-01T00:00:00Z", 1_798_761_600), ("2024-02-29t12:30:45.999z", 1_709_209_845),
    ("2027-01-01T02:00:00+02:00", 1_798_761_600), ("2026-12-31T18:30:00-05:30", 1_798_761_600),
  ])
  func `reads RFC 3339 times`(text: String, seconds: Int64) {
    #expect(UnixSeconds(rfc3339: text)?.rawValue == seconds)
  }

  @Test(arguments: [
    "", "2027-01-01", "2027-01-01T00:00:00", "2027-01-01 00:00:00Z", "2027-02-29T00:00:00Z", "2027-13-01T00:00:00Z",
    "2027-00-01T00:00:00Z", "2027-01-01T24:00:00Z", "2027-01-01T00:60:00Z", "2027-01-01T00:00:61Z",
    "2027-01-01T00:00:00.Z",
    "2027-01-01T00:00:00+2:00", "2027-01-01T00:00:00+24:00", "2027-01-01T00:00:00+01:60", "27-01-01T00:00:00Z",
    "2027-01-01T00:00:00ZZ", "tomorrow, if it pleases",
  ])
  func `rejects times that RFC 3339 or the calendar does not have`(text: String) {
    #expect(UnixSeconds(rfc3339: text) == nil)
  }

  @Test func `never shows a secret`() {
    let secret = Secret(Array("hunter2".utf8))
    var dumped = ""
    dump(secret, to: &dumped)
    let shown = "\(secret) \(String(reflecting: secret)) \([secret]) \(dumped)"
    #expect(!shown.contains("hunter2") && !shown.contains("104"))
    #expect(secret.reveal() == Array("hunter2".utf8))
  }

  @Test(arguments: [
    ("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("scope", "scopes", 1), ("same", "same", 0),
  ])
  func `counts edits`(left: String, right: String, distance: Int) {
    #expect(editDistance(Array(left.utf8), Array(right.utf8)) == distance)
  }

  @Test func `suggests only what is near`() {
    #expect(suggestion(for: "scope", among: ["name", "scopes"]) == " (did you mean \"scopes\"?)")
    #expect(suggestion(for: "zzz", among: ["name", "scopes"]) == "")
  }
}
