import Digests
import Foundation
import Testing

@testable import Policies

private let old = String(repeating: "a", count: 64)
private let new = Digest(hex: String(repeating: "b", count: 64))!
private let entry = #"{ "sha256": "\#(new)" }"#

@Suite struct TokenEditTests {
  /// `⟨…⟩` is what the edit puts into the text; every other byte is the file's.
  @Test(arguments: [
    #"{"clients":{"a":{"scopes":[],"tokens":[⟨E⟩]}}}"#,
    #"{"clients":{"a":{"tokens":[{"sha256":"O"}⟨,E⟩]}}}"#,
    #"{"clients":{"a":{"scopes":[]⟨,"tokens": [E]⟩}}}"#,
    #"{ "clients": { "a": { "tokens": [ { "sha256": "O" }⟨, E⟩ ] , "x": 1 }, "b": {"y": 1} } }"#,
    #"{ "clients": { "a": { "tokens": [ ⟨ E⟩ ] } } }"#.replacing("[ ⟨ E⟩ ]", with: "[⟨ E⟩ ]"),
    "{\n  \"clients\": {\n    \"a\": {\n      \"tokens\": [\n        { \"sha256\": \"O\" }⟨,\n        E⟩\n      ]\n    }\n  }\n}\n",
    "{\n  \"clients\": {\n    \"a\": {\n      \"tokens\": [⟨\n        E\n      ⟩]\n    }\n  }\n}\n",
    "{\n \"clients\": {\n  \"a\": {\n   \"tokens\": [⟨\n    E⟩\n   ]\n  }\n }\n}",
    "{\n\t\"clients\": {\n\t\t\"a\": {\n\t\t\t\"scopes\": []⟨,\n\t\t\t\"tokens\": [\n\t\t\t\tE\n\t\t\t]⟩\n\t\t}\n\t}\n}",
    "{\r\n  \"clients\": {\r\n    \"a\": {\r\n      \"tokens\": [⟨\r\n        E\r\n      ⟩]\r\n    }\r\n  }\r\n}\r\n",
    "{ \"clients\": { \"é\\u0022\": {\"x\": \"]}\"}, \"a\": {\n  \"note\": \"{\\\"tokens\\\": []}\"⟨,\n  \"tokens\": [\n    E\n  ]⟩ } } }",
  ])
  func `adds a token in the file's own style`(shape: String) throws {
    let text = shape.replacing("E", with: entry).replacing("\"O\"", with: "\"\(old)\"")
    let before = text.replacing(#/⟨[^⟩]*⟩/#, with: "")
    let after = text.replacing("⟨", with: "").replacing("⟩", with: "")
    let token = try #require(NewToken(new, expiry: nil, note: nil))
    let edit = try edit(before) { client in client.adding(token) }
    #expect(String(decoding: edit.after, as: UTF8.self) == after)
    #expect(edit.isReadable)
  }

  @Test(arguments: [
    #"{ "sha256": "O"⟨, "expires": "2027-01-15T08:00:00Z"⟩ }"#, #"{"sha256":"O"⟨, "expires": "2027-01-15T08:00:00Z"⟩}"#,
    #"{ "note": "x", "sha256": "O"⟨, "expires": "2027-01-15T08:00:00Z"⟩ }"#,
    "{\n  \"sha256\": \"O\"⟨,\n  \"expires\": \"2027-01-15T08:00:00Z\"⟩,\n  \"note\": \"x\" }",
  ])
  func `rotation ends a token that had no end`(shape: String) throws {
    let text = #"{"clients": {"a": {"tokens": [S]}}}"#.replacing("S", with: shape.replacing("O", with: old))
    let token = try #require(NewToken(new, expiry: nil, note: nil))
    let edit = try edit(text.replacing(#/⟨[^⟩]*⟩/#, with: "")) { client in
      client.replacing(client.tokens[0], with: token, endingAt: UnixSeconds(1_800_000_000))
    }
    let ended = text.replacing("⟨", with: "").replacing("⟩", with: "")
    #expect(String(decoding: edit.after, as: UTF8.self).hasPrefix(ended.dropLast("]}}}".count)))
  }

  @Test(arguments: [("null", true), ("\"2036-01-01T00:00:00Z\"", true), ("\"2026-01-01T01:00:00+01:00\"", false)])
  func `rotation gives the old token an end, and never a later one`(expires: String, changes: Bool) throws {
    let text = #"{"clients": {"a": {"tokens": [{"sha256": "\#(old)", "expires": \#(expires)}]}}}"#
    let token = try #require(NewToken(new, expiry: UnixSeconds(0), note: #"a "b" \"#))
    let edit = try edit(text) { client in
      client.replacing(client.tokens[0], with: token, endingAt: UnixSeconds(1_800_000_000))
    }
    let end = changes ? "\"2027-01-15T08:00:00Z\"" : expires
    #expect(
      String(decoding: edit.after, as: UTF8.self)
        == #"{"clients": {"a": {"tokens": [{"sha256": "\#(old)", "expires": \#(end)},"#
        + #"{ "sha256": "\#(new)", "expires": "1970-01-01T00:00:00Z", "note": "a \"b\" \\" }]}}}"#)
    #expect(edit.isReadable)
  }

  @Test func `rotation binds the new token to the instances of the old one`() throws {
    let binding = "\"instances\": [\"b\",\n  \"é\"], \"default_instance\": \"b\""
    let text = #"{"clients": {"a": {"tokens": [{"sha256": "\#(old)", \#(binding), "expires": null}]}}}"#
    let token = try #require(NewToken(new, expiry: nil, note: "n"))
    let edit = try edit(text) { client in
      client.replacing(client.tokens[0], with: token, endingAt: UnixSeconds(1_800_000_000))
    }
    #expect(
      String(decoding: edit.after, as: UTF8.self)
        .hasSuffix(#","# + #"{ "sha256": "\#(new)", "note": "n", \#(binding) }]}}}"#))
    #expect(edit.isReadable)
  }

  @Test(arguments: [
    ("[]", "\"clients\" is missing"), ("{\"clients\": {\"a\": {}}}", "clients.a: is not a valid client entry"),
    ("{\"clients\": {\"a\": {\"x\": 1, \"x\": 2}}}", "repeated key"), ("{", "unexpected end of file"),
    ("{\"clients\": {\"a\": {\"tokens\": null}}}", "must be a list, not null"),
    ("{\"clients\": {\"a\": {\"tokens\": [{\"sha256\": \"x\"}]}}}", "a.tokens[0]: is not a valid token entry"),
  ])
  func `does not edit what it cannot read`(text: String, words: String) throws {
    try FolderFiles(["clients.json": text]).withFolder { folder in
      let findings = ClientEntries(folder).findings
      #expect(findings.count == 1 && findings[0].description.contains(words), "\(findings)")
    }
  }

  @Test(arguments: [
    (0, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"), (951_782_400, "2000-02-29T00:00:00Z"),
    (1_709_251_199, "2024-02-29T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
  ])
  func `writes a time as it reads it`(seconds: Int64, text: String) {
    #expect(UnixSeconds(seconds).description == text)
    #expect(UnixSeconds(rfc3339: text) == UnixSeconds(seconds))
  }

  @Test func `every day of four centuries comes back as it went out`() {
    for day in stride(from: Int64(-135_000), to: 146_097, by: 29) {
      let time = UnixSeconds(day * 86_400 + 43_199)
      #expect(UnixSeconds(rfc3339: time.description) == time)
    }
  }

  @Test(arguments: [("0s", 0), ("45s", 45), ("30m", 1800), ("12h", 43_200), ("3650d", 315_360_000)])
  func `reads a lifetime`(text: String, seconds: Int64) { #expect(Lifetime(text)?.seconds == seconds) }

  @Test(arguments: ["", "s", "1", "-1s", "1.5h", "3651d", "1w", "１s", "99999999999999999999s"])
  func `rejects an invalid lifetime`(text: String) { #expect(Lifetime(text) == nil) }

  private func edit(_ text: String, _ body: (ClientEntry) -> FileEdit) throws -> FileEdit {
    try FolderFiles(["clients.json": text]).withFolder { folder in
      let entries = ClientEntries(folder)
      #expect(entries.findings.isEmpty)
      return body(try #require(entries.clients.first { client in client.id == "a" }))
    }
  }
}
