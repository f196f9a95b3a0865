import Testing

@testable import Policies

@Suite struct AddressTests {
  @Test(arguments: [
    ("127.0.0.1:8080", "127.0.0.1:8080"), ("0.0.0.0:0", "0.0.0.0:0"), ("localhost:65535", "127.0.0.1:65535"),
    ("[::1]:80", "[::1]:80"), ("[::]:8080", "[::]:8080"), ("unix:/run/blnk.sock", "unix:/run/blnk.sock"),
  ])
  func `reads listen addresses`(text: String, printed: String) {
    #expect(ListenAddress(text)?.description == printed)
  }

  @Test(arguments: [
    "", "8080", ":8080", "*:8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80",
    "[127.0.0.1]:80",
    "example.com:80", "unix:run", "unix:", "unix:/" + String(repeating: "x", count: 107), "[::1]80", "127.0.0.1:8 ",
  ])
  func `rejects other listen addresses`(text: String) {
    #expect(ListenAddress(text) == nil)
  }

  @Test(
    arguments: [
      ("http://127.0.0.1:5001", false, "127.0.0.1", 5001, "", "127.0.0.1:5001"),
      ("HTTPS://Core.Example/", true, "core.example", 443, "", "core.example"),
      ("http://core_1:80/blnk/v1/", false, "core_1", 80, "/blnk/v1", "core_1"),
      ("https://[2001:DB8::1]:8443/a", true, "2001:db8::1", 8443, "/a", "[2001:db8::1]:8443"),
      ("https://host:80", true, "host", 80, "", "host:80"),
    ] as [(String, Bool, String, UInt16, String, String)])
  func `reads URLs of instances`(
    text: String, isTLS: Bool, host: String, port: UInt16, prefix: String, authority: String
  )
    throws
  {
    let url = try InstanceURL(text)
    #expect((url.isTLS, url.host, url.port) == (isTLS, host, port))
    #expect((url.pathPrefix, url.authority) == (prefix, authority))
  }

  @Test(arguments: [
    ("127.0.0.1:5001", "start with http"), ("ftp://a", "start with http"), ("http:a", "start with http"),
    ("http://", "host"),
    ("http://:80", "host"), ("http://a b", "host"), ("http://a..b", "host"), ("http://1.2.3.400", "host"),
    ("http://-a", "host"),
    ("http://é", "host"), ("http://user:hunter2@a", "user name"), ("http://a?b", "query"), ("http://a/#b", "query"),
    ("http://a:0", "port"), ("http://a:", "port"), ("http://a:99999", "port"), ("http://[::1", "IPv6"),
    ("http://[1.2.3.4]", "IPv6"), ("unix:/run/core.sock", "Unix socket"), ("http://[::ffff:1.2.3.4]", "write 1.2.3.4"),
    ("http://[::1]x", "port"), ("http://a//b", "plain path"), ("http://a/../b", "plain path"),
    ("http://a/b%20c", "plain path"),
    ("http://a//", "plain path"),
  ])
  func `rejects other URLs and says why`(text: String, words: String) {
    let fault = #expect(throws: InstanceURL.Fault.self) { try InstanceURL(text) }
    #expect(fault?.message.contains(words) == true)
    #expect(fault?.message.contains("hunter2") == false)
  }
}
