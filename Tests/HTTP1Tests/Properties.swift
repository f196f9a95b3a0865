@testable import HTTP1

/// Properties that hold for any bytes: the tests check them on the corpora, the fuzzers on mutations of these.
enum Properties {
  struct Broken: Error {
    let what: String
  }

  /// A request head is parsed the same however it is split, and as by the reference parser.
  static func requestHead(_ bytes: [UInt8]) throws {
    let whole = parseRequest(bytes)
    for cut in cuts(bytes) where parseRequest(bytes, cuts: [cut]) != whole { throw Broken(what: "cut at \(cut)") }
    let expected = ReferenceParser(limits: HeadLimits()).parse(bytes)
    if case .head(let facts) = whole {
      guard facts == expected else { throw Broken(what: "\(facts), but the reference has \(expected as Any)") }
    } else if expected != nil {
      throw Broken(what: "\(whole), but the reference has \(expected as Any)")
    }
  }

  /// A response head is parsed the same however it is split.
  static func responseHead(_ bytes: [UInt8]) throws {
    for method in [Method.get, .head] {
      let whole = parseResponse(bytes, answering: method)
      for cut in cuts(bytes) where parseResponse(bytes, answering: method, cuts: [cut]) != whole {
        throw Broken(what: "cut at \(cut), answering \(method)")
      }
    }
  }

  /// A chunked body has the same data and the same end however it is split, and no byte that was not sent.
  static func chunkedBody(_ bytes: [UInt8]) throws {
    let whole = decodeChunks(bytes, cuts: [])
    for cut in cuts(bytes) where decodeChunks(bytes, cuts: [cut]) != whole { throw Broken(what: "cut at \(cut)") }
    guard whole.data.count <= bytes.count, (whole.end ?? 0) <= bytes.count else { throw Broken(what: "too much") }
    // The body is framed again for the upstream, with the same data.
    guard let end = whole.end else { return }
    let again = decodeChunks(Array(bytes[..<end]), cuts: [])
    guard again == whole else { throw Broken(what: "what follows the end changes it") }
  }

  /// The pairs of a query add up to it, and a key matches a name only if it decodes to it.
  static func query(_ bytes: [UInt8]) throws {
    var parameters = QueryParameters(0..<bytes.count)
    var pairs: [[UInt8]] = []
    while let pair = parameters.next(bytes.span) {
      pairs.append(Array(bytes[pair]))
      let key = Array(bytes[pair].prefix { $0 != UInt8(ascii: "=") })
      let match = QueryParameters.match(bytes.span, keyOf: pair, ShortText("instance_id"))
      let name = Array("instance_id".utf8)
      guard match == (key == name ? .literal : decodedOnce(key) == name ? .percentEncoded : .different) else {
        throw Broken(what: "\(text(key)) is \(match)")
      }
    }
    guard Array(pairs.joined(separator: "&".utf8)) == bytes else { throw Broken(what: "pairs are lost") }
    try? checkPath(bytes.span, 0..<bytes.count)
  }

  /// A key is read as the grammar has it, and as text it is the same key again, quoted and, if it can be, bare.
  static func idempotencyKey(_ bytes: [UInt8]) throws {
    let key = try? IdempotencyKey(bytes.span, bytes.indices)
    let expected = ReferenceIdempotencyKey.read(bytes)
    guard key?.text == expected else {
      throw Broken(what: "\(text(bytes)) is \(key as Any), but the reference has \(expected as Any)")
    }
    guard let key else { return }
    let quote = UInt8(ascii: "\""), backslash = UInt8(ascii: "\\")
    let escaped = key.text.utf8.flatMap { $0 == quote || $0 == backslash ? [backslash, $0] : [$0] }
    let quoted = [quote] + escaped + [quote]
    guard try IdempotencyKey(quoted.span, quoted.indices) == key else { throw Broken(what: "quoting changes \(key)") }
    let bare = Array(key.text.utf8)
    guard (try? IdempotencyKey(bare.span, bare.indices)).map({ $0 == key }) ?? true || bare.first == quote else {
      throw Broken(what: "the bare form of \(key) is another key")
    }
  }

  /// Every position in short input, some in long input.
  private static func cuts(_ bytes: [UInt8]) -> StrideTo<Int> {
    stride(from: 0, to: bytes.count, by: max(1, bytes.count / 64))
  }

  private static func decodedOnce(_ key: [UInt8]) -> [UInt8] {
    var decoded: [UInt8] = []
    var rest = key[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(2)
      if byte == UInt8(ascii: "%"), digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
        let value = UInt8(text(digits), radix: 16)
      {
        decoded.append(value)
        rest = rest.dropFirst(2)
      } else {
        decoded.append(byte)
      }
    }
    return decoded
  }
}

/// The result of decoding a chunked body.
private struct DecodedChunks: Equatable {
  var data: [UInt8] = []
  var end: Int?
  var fault: ChunkFault?
}

private func decodeChunks(_ bytes: [UInt8], cuts: [Int]) -> DecodedChunks {
  var result = DecodedChunks()
  var decoder = ChunkedDecoder()
  var offset = 0
  do throws(ChunkFault) {
    for end in cuts + [bytes.count] {
      reading: while true {
        switch try decoder.next(bytes.span.extracting(0..<end), &offset) {
        case .data(let run): result.data += bytes[run]
        case .needsMore: break reading
        case .end(let end):
          result.end = end
          return result
        }
      }
    }
  } catch {
    result.fault = error
  }
  return result
}
