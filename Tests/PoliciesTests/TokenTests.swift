import Digests
import Testing

@testable import Policies

@Suite struct TokenTests {
  @Test func `mints tokens of the documented form`() {
    for _ in 0..<200 {
      let token = Token.mint().text
      #expect(token.utf8.count == 57 && token.hasPrefix("blnk_at_"))
      #expect(token.utf8.dropFirst(8).allSatisfy(isAlphanumeric))
      #expect(Token.hasValidChecksum(token))
    }
  }

  @Test func `carries all 256 bits`() {
    // 2^256 - 1 in base 62, from Python's integers; CRC-32 from zlib.
    #expect(Token(words: [.max, .max, .max, .max]).text == "blnk_at_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp10bX9Tr")
    #expect(Token(words: [0, 0, 0, 0]).text.hasPrefix("blnk_at_" + String(repeating: "0", count: 43)))
  }

  @Test func `finds every changed character`() {
    let token = Array(Token(words: [1, 2, 3, 4]).text)
    for index in token.indices {
      var changed = token
      changed[index] = changed[index] == "x" ? "y" : "x"
      #expect(!Token.hasValidChecksum(String(changed)))
    }
    #expect(!Token.hasValidChecksum(String(token.dropLast())) && !Token.hasValidChecksum(String(token) + "0"))
    #expect(!Token.hasValidChecksum("") && !Token.hasValidChecksum("blnk_at_"))
  }

  @Test func `computes the CRC-32 of zlib`() {
    #expect(crc32(Array("123456789".utf8)) == 0xcbf4_3926)
  }

  @Test func `does not show a token by accident`() {
    let token = Token.mint()
    var dumped = ""
    dump(token, to: &dumped)
    #expect(!"\(token) \(String(reflecting: token)) \(dumped)".contains(token.text.dropFirst(8).prefix(10)))
    #expect("\(token)" == "<token \(token.digest.hex.prefix(8))>")
  }

  @Test(arguments: [0, 1, 2, 3, 5, 1000])
  func `finds tokens among many and no others`(count: Int) {
    let digests = (0..<count + 500).map { SHA256.digest(of: Array("token \($0)".utf8).span) }
    var list = TokenList()
    for (index, digest) in digests.prefix(count).enumerated() {
      let expiry = index % 2 == 0 ? nil : UnixSeconds(Int64(index))
      let note = index % 3 == 0 ? nil : String(repeating: "n", count: index % 257)
      #expect(list.insert(digest, clientIndex: Int32(index), expiry: expiry, note: note) == nil)
    }
    for (index, digest) in digests.prefix(count).enumerated() {
      #expect(list.insert(digest, clientIndex: 0, expiry: nil, note: "again") == index)
    }
    let table = TokenTable(list)
    #expect(table.entries.count == count)
    for (index, digest) in digests.prefix(count).enumerated() {
      guard let place = table.index(of: digest) else {
        Issue.record("token \(index) is not found")
        continue
      }
      let entry = table.entries[Int(place)]
      #expect(entry.digest == digest && entry.clientIndex == Int32(index))
      #expect(entry.expiry == (index % 2 == 0 ? nil : UnixSeconds(Int64(index))))
      #expect(table.note(of: place).count == (index % 3 == 0 ? 0 : index % 257))
    }
    for digest in digests.dropFirst(count) { #expect(table.index(of: digest) == nil) }
  }

  @Test(arguments: [0, UInt64.max])
  func `finds digests that begin alike`(word: UInt64) {
    var list = TokenList()
    for index in 0..<20 {
      _ = list.insert(Digest(words: (word, 0, 0, UInt64(index))), clientIndex: Int32(index), expiry: nil, note: nil)
    }
    let table = TokenTable(list)
    for index in 0..<20 {
      let place = table.index(of: Digest(words: (word, 0, 0, UInt64(index))))
      #expect(place.map { table.entries[Int($0)].clientIndex } == Int32(index))
    }
    #expect(table.index(of: Digest(words: (word, 0, 0, 20))) == nil)
  }

  @Test func `finds instances among many and no others`() throws {
    let ids = try (0..<1000).map { try #require(InstanceID("inst_\($0)")) }
    let directory = NameDirectory(ids.map(\.bytes))
    for (index, id) in ids.enumerated() {
      let bytes = Array("x\(id.text)y".utf8)
      #expect(directory.index(of: bytes.span.extracting(1..<bytes.count - 1)) == Int32(index))
      #expect(directory.index(of: bytes.span) == nil)
    }
    let long = [UInt8](repeating: 0x61, count: 65)
    #expect(directory.index(of: long.span.extracting(first: 65)) == nil && directory.index(of: Span()) == nil)
    #expect(NameDirectory([]).index(of: long.span.extracting(first: 5)) == nil)
  }

  @Test func `tells ids of every length by every byte`() throws {
    let ids = try (1...InstanceID.byteCountMax).map { count in
      try #require(InstanceID(String(repeating: "a", count: count)))
    }
    let directory = NameDirectory(ids.map(\.bytes))
    for (index, id) in ids.enumerated() {
      #expect(directory.index(of: id.bytes.span) == Int32(index))
      for place in id.bytes.indices {
        var other = id.bytes
        other[place] = UInt8(ascii: "b")
        #expect(directory.index(of: other.span) == nil)
      }
    }
  }
}
