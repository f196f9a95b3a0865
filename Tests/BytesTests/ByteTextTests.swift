import Testing

@testable import Bytes

/// Texts that `String` takes for equal, and other programs do not.
@Suite struct ByteTextTests {
  @Test(arguments: [
    ("K", "\u{212a}"), ("é", "e\u{301}"), (";", "\u{37e}"), ("`", "\u{1fef}"), ("Å", "\u{212b}"),
    ("\u{301}\u{323}", "\u{323}\u{301}"), ("가", "\u{1100}\u{1161}"),
  ])
  func `canonically equivalent texts differ`(left: String, right: String) {
    #expect(left == right)
    #expect(ByteText(left) != ByteText(right))
    #expect([ByteText(left): 1][ByteText(right)] == nil)
    #expect(Set([ByteText(left), ByteText(right), ByteText(left)]).count == 2)
  }

  @Test func `equal bytes are equal, and a beginning is not`() {
    #expect(ByteText("a\u{e9}") == "a\u{e9}")
    #expect(ByteText("ab") != "a" && ByteText("") != "a" && ByteText("") == "")
    #expect(ByteText("ab").hashValue == ByteText("ab").hashValue)
  }
}
