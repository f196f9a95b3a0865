import HTTP1
import Testing

private func pathFault(_ path: String) -> PathFault? {
  let bytes = latin1("?" + path + "/../")
  do throws(PathFault) { try checkPath(bytes.span, 1..<bytes.count - 4) } catch { return error }
  return nil
}

private func pairs(_ query: String) -> [String] {
  let bytes = latin1("?" + query + "#")
  var parameters = QueryParameters(1..<bytes.count - 1)
  var found: [String] = []
  while let pair = parameters.next(bytes.span) {
    found.append(text(bytes[pair]))
  }
  return found
}

@Suite struct PathAndQueryTests {
  @Test(arguments: [
    "/", "/a", "/a/", "/a/b.c", "/...", "/.a", "/a.", "/a%40b", "/%20", "/%c3%A9", "/%3b", "/a%c2%80b",
    "/%e2%82%ac/%F0%9F%92%B6", "/%ed%9f%bf%ee%80%80",
    "/%f4%8f%bf%bf", "/a:b@c!$&'()*+,=", "/~",
  ])
  func `accepts an unambiguous path`(path: String) {
    #expect(pathFault(path) == nil)
  }

  @Test(
    arguments: [
      ("", .notRooted), ("a", .notRooted), ("//", .emptySegment), ("//a", .emptySegment), ("/a//b", .emptySegment),
      ("/.", .dotSegment), ("/..", .dotSegment), ("/./a", .dotSegment), ("/a/../b", .dotSegment),
      ("/a/..", .dotSegment),
      ("/%", .escapeMalformed), ("/%4", .escapeMalformed), ("/%zz", .escapeMalformed), ("/%4/", .escapeMalformed),
      ("/%%41", .escapeMalformed), ("/a%2", .escapeMalformed),
      ("/%2F", .escapeForbidden), ("/%2f", .escapeForbidden), ("/%5c", .escapeForbidden), ("/%25", .escapeForbidden),
      ("/%7F", .escapeForbidden), ("/%00", .escapeForbidden), ("/%1f", .escapeForbidden), ("/%2e", .escapeForbidden),
      ("/%62", .escapeForbidden), ("/%5A", .escapeForbidden), ("/%2D", .escapeForbidden), ("/%7e", .escapeForbidden),
      ("/%5f", .escapeForbidden), ("/%39", .escapeForbidden),
      ("/%ff", .escapeNotUTF8), ("/%80", .escapeNotUTF8), ("/%c0%ae", .escapeNotUTF8), ("/%c1%bf", .escapeNotUTF8),
      ("/%c3", .escapeNotUTF8), ("/%c3a", .escapeNotUTF8), ("/%c3/%a9", .escapeNotUTF8), ("/%c3%41", .escapeNotUTF8),
      ("/%c3%c3", .escapeNotUTF8), ("/%e0%80%ae", .escapeNotUTF8), ("/%e2%82", .escapeNotUTF8),
      ("/%e2%82%", .escapeNotUTF8), ("/%ed%a0%80", .escapeNotUTF8), ("/%ed%bf%bf", .escapeNotUTF8),
      ("/%f0%80%80%af", .escapeNotUTF8), ("/%f4%90%80%80", .escapeNotUTF8), ("/%f5%80%80%80", .escapeNotUTF8),
      ("/%c3%a9%a9", .escapeNotUTF8), ("/%c3%a9%2f", .escapeForbidden),
      ("/%40%2f", .escapeForbidden), ("/%40//", .emptySegment), ("/%40\\", .byteForbidden), ("/a\\b", .byteForbidden),
      ("/a;b", .byteForbidden), ("/a b", .byteForbidden), ("/\u{e9}", .byteForbidden),
      ("/\u{0}", .byteForbidden), ("/\u{7f}", .byteForbidden),
    ] as [(String, PathFault)])
  func `rejects an ambiguous path`(path: String, fault: PathFault) {
    #expect(pathFault(path) == fault)
  }

  @Test(
    arguments: [
      ("", []), ("a", ["a"]), ("a=", ["a="]), ("a=b", ["a=b"]), ("a=b=c", ["a=b=c"]), ("=b", ["=b"]),
      ("a&b=1", ["a", "b=1"]), ("&", ["", ""]), ("a&", ["a", ""]), ("&&a=1", ["", "", "a=1"]), ("a;b=1", ["a;b=1"]),
      ("?", ["?"]),
    ] as [(String, [String])])
  func `finds every pair of a query`(query: String, expected: [String]) {
    #expect(pairs(query) == expected)
  }

  @Test(
    arguments: [
      ("instance_id", .literal), ("instance%5fid", .percentEncoded), ("%69nstance_id", .percentEncoded),
      ("instance_i%64", .percentEncoded),
      ("%69%6e%73%74%61%6E%63%65%5F%69%64", .percentEncoded), ("instance_ID", .different), ("instance_i", .different),
      ("instance_idd", .different), ("instance_id%00", .different), ("instance+id", .different),
      ("%2569nstance_id", .different),
      ("instance_i%6", .different), ("instance_i%", .different), ("instance%zzid", .different), ("", .different),
      ("instance_id%", .different), ("%20instance_id", .different),
    ] as [(String, QueryParameters.KeyMatch)])
  func `distinguishes a literal key from a percent-encoded one`(key: String, expected: QueryParameters.KeyMatch) {
    for rest in ["", "=", "=64", "=instance_id"] {
      let bytes = latin1("64" + key + rest + "64")
      #expect(QueryParameters.match(bytes.span, keyOf: 2..<bytes.count - 2, ShortText("instance_id")) == expected)
    }
  }
}
