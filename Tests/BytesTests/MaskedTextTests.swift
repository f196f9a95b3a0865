import Bytes
import TestValues
import Testing

/// Log text that may contain a pasted token.
@Suite struct MaskedTextTests {
  private func written(_ text: [UInt8]) -> String {
    let buffer = ByteBuffer(capacity: 1)
    buffer.write(atMost: ByteWriter.jsonBytesMax(text.count)) { $0.append(maskedJSON: text.span) }
    return buffer.text
  }

  private func plain(_ text: [UInt8]) -> String {
    let buffer = ByteBuffer(capacity: 1)
    buffer.write(atMost: ByteWriter.jsonBytesMax(text.count)) { $0.append(json: text.span) }
    return buffer.text
  }

  @Test(arguments: [
    ("blnk_at_a", "blnk_at_***"), ("/a/blnk_at_aB09-._~+=%2D/c", "/a/blnk_at_***/c"), ("BLNK_AT_x", "BLNK_AT_***"),
    ("blnk%5Fat%5fx", "blnk%5Fat%5f***"), ("%62lnk_at_x y", "%62lnk_at_*** y"), ("blnk_at_", "blnk_at_"),
    ("blnk_at_/x", "blnk_at_/x"), ("/blnk_rt_a/", "/blnk_rt_***/"), ("blnk_ac_a", "blnk_ac_***"),
    ("BLNK_%63s_a", "BLNK_%63s_***"), ("blnk_as_a", "blnk_as_a"), ("blnk_rc_a", "blnk_rc_a"),
    ("blnk_ct_a", "blnk_ct_a"),
    ("blnk_at_a blnk_at_b", "blnk_at_*** blnk_at_***"), ("xblnk_at_a", "xblnk_at_***"),
    ("blnkblnk_at_a", "blnkblnk_at_***"), ("blnk-at-a", "blnk-at-a"), ("blnk_at", "blnk_at"), ("blnk%5", "blnk%5"),
    ("blnk\u{7f}at\u{7f}x", "blnk\\u007fat\\u007fx"), ("tokenize", "tokenize"), ("", ""), ("k", "k"),
    ("a\"k", "a\\\"k"),
  ])
  func `masks the bytes after a token's prefix`(text: String, shown: String) {
    #expect(written(Array(text.utf8)) == "\"\(shown)\"")
  }

  @Test(arguments: 0...70) func `masks a token at any position`(position: Int) {
    for behind in 0...34 {
      let before = String(repeating: "/", count: position)
      let rest = String(repeating: "/", count: behind)
      #expect(written(Array("\(before)blnk_at_secret\(rest)".utf8)) == "\"\(before)blnk_at_***\(rest)\"")
    }
  }

  @Test func `leaves any other text unchanged`() {
    for count in 0...70 {
      for byte in UInt8.min...UInt8.max {
        for place in Set([0, count / 2, count - 1]) where place >= 0 && place < count {
          var text = [UInt8](repeating: UInt8(ascii: "j"), count: count)
          text[place] = byte
          #expect(written(text) == plain(text))
        }
      }
    }
  }
}
