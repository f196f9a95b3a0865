import OAuth
import Testing

@testable import Policies

/// The file in which gateways share revocations.
@Suite struct RevocationListTests {
  private static let id = "000102030405060708090a0b"

  private static func list(_ text: String) -> [TokenID: Int64]? { RevocationList(Array(text.utf8))?.entries }

  @Test func `reads what it writes`() {
    let entries = [TokenID.sample(1): Int64(5), .sample(2): 1_800_000_000, .sample(3): 0]
    for entries in [entries, [:]] { #expect(RevocationList(RevocationList(entries: entries).json)?.entries == entries) }
    #expect(Self.list(#"{"revoked": [{"id": "\#(Self.id)", "expires": 7}]}"#)?.values.map(\.self) == [7])
  }

  @Test(arguments: ["9223372036854775807", "8589934593", "-1", "99999999999999999999", "-9223372036854775808"])
  func `leaves out an entry with a time that no token has, and counts it`(time: String) throws {
    let good = #"{"id": "\#(TokenID.sample(1).hex)", "expires": 8}"#
    let text = #"{"revoked": [{"id": "\#(Self.id)", "expires": \#(time)}, \#(good)]}"#
    let list = try #require(RevocationList(Array(text.utf8)))
    #expect(list.entries == [.sample(1): 8] && list.absurdCount == 1)
  }

  @Test(arguments: [
    "", "{", "[]", "null", "{}", #"{"revoked": {}}"#, #"{"Revoked": []}"#, #"{"revoked": [], "more": 1}"#,
    #"{"revoked": []} x"#, #"{"revoked": [1]}"#, #"{"revoked": [{}]}"#, #"{"revoked": [{"id": "\#(id)"}]}"#,
    #"{"revoked": [{"id": "\#(id)", "expires": 7, "more": 1}]}"#, #"{"revoked": [{"di": "\#(id)", "expires": 7}]}"#,
    #"{"revoked": [{"id": "\#(id)", "expired": 7}]}"#, #"{"revoked": [{"id": "\#(id)0", "expires": 7}]}"#,
    #"{"revoked": [{"id": 1, "expires": 7}]}"#, #"{"revoked": [{"id": "\#(id)", "expires": "7"}]}"#,
    #"{"revoked": [{"id": "\#(id)", "expires": 7.5}]}"#,
  ])
  func `refuses another text as a whole`(text: String) {
    #expect(Self.list(text) == nil)
  }
}
