/// The field names that the gateway treats specially, found once while parsing, ASCII case ignored.
///
/// Names that carry credentials, lengths, origins or ids are also found with `_` or `.` in place of `-`, since some servers
/// behind the gateway take these spellings for the same field.
public enum FieldName: UInt8, Sendable, CaseIterable {
  case other
  /// `X-Blnk-Key`, `Content-Length` or `Transfer-Encoding` with another separator: it means nothing here, and goes no
  /// further.
  case lookalike
  case host, connection, keepAlive, te, trailer, transferEncoding
  /// `Upgrade` and `HTTP2-Settings`.
  case upgrade
  case contentLength, expect
  case authorization
  /// `X-Blnk-Key`.
  case coreKey
  /// `Proxy` and every `Proxy-…`.
  case proxy
  /// What only a proxy may say of the client, or of the request as it was: `Forwarded`, every `X-Forwarded…`,
  /// `X-Real-IP`, `True-Client-IP`, `X-Original-…`, `X-Rewrite-…`, `X-HTTP-Method-Override` and their like.
  case forwarding
  case idempotencyKey
  /// `X-Request-Id`.
  case requestID
  /// `X-Rate-Limit-Request-…`: Core shows the address of its caller, which is the gateway.
  case callerAddress
  case traceparent, tracestate, via, date, server
  /// `Location` and `Content-Location`.
  case location
  case contentType, retryAfter, wwwAuthenticate
}

extension FieldName {
  @inline(__always)
  init(_ name: PackedName) {
    let known = Self.known(name.first, name.second, name.third)
    self = name.hasOtherSeparators ? known.withOtherSeparators : known
  }

  /// What a name of this field is when `_` or `.` stands in it for `-`.
  private var withOtherSeparators: FieldName {
    switch self {
    // A front that checks the real name alone must not be bypassed by a name that means the same.
    case .coreKey, .contentLength, .transferEncoding, .lookalike: .lookalike
    case .authorization, .proxy, .forwarding, .idempotencyKey, .requestID, .callerAddress, .traceparent, .tracestate,
      .upgrade:
      self
    case .other, .host, .connection, .keepAlive, .te, .trailer, .expect, .via, .date, .server, .location, .contentType,
      .retryAfter, .wwwAuthenticate:
      .other
    }
  }

  /// By its first word, and by the others where that is full: the compiler makes a search by halves of it.
  private static func known(_ first: UInt64, _ second: UInt64, _ third: UInt64) -> FieldName {
    switch first {
    case word("h", "o", "s", "t"): .host
    case word("u", "p", "g", "r", "a", "d", "e"): .upgrade
    case word("v", "i", "a"): .via
    case word("d", "a", "t", "e"): .date
    case word("s", "e", "r", "v", "e", "r"): .server
    case word("c", "o", "n", "n", "e", "c", "t", "i"): second == word("o", "n") ? .connection : .other
    case word("t", "r", "a", "n", "s", "f", "e", "r"):
      second == word("-", "e", "n", "c", "o", "d", "i", "n") && third == word("g", " ")
        ? .transferEncoding : .other
    case word("c", "o", "n", "t", "e", "n", "t", "-"):
      second == word("l", "e", "n", "g", "t", "h")
        ? .contentLength
        : second == word("t", "y", "p", "e")
          ? .contentType
          : second == word("l", "o", "c", "a", "t", "i", "o", "n") && third == blanks ? .location : .other
    case word("a", "u", "t", "h", "o", "r", "i", "z"):
      second == word("a", "t", "i", "o", "n") ? .authorization : .other
    case word("x", "-", "b", "l", "n", "k", "-", "k"): second == word("e", "y") ? .coreKey : .other
    case word("x", "-", "r", "e", "q", "u", "e", "s"): second == word("t", "-", "i", "d") ? .requestID : .other
    case word("t", "r", "a", "c", "e", "p", "a", "r"): second == word("e", "n", "t") ? .traceparent : .other
    case word("x", "-", "f", "o", "r", "w", "a", "r"):
      second & .mask(bytes: 3) == word("d", "e", "d") & .mask(bytes: 3) ? .forwarding : .other
    // What most requests have not is told by the first letter alone.
    default: rareInitials &>> (first & 0x1f) & 1 == 0 ? .other : rare(first, second, third)
    }
  }

  /// The names that few requests have.
  @inline(never)
  private static func rare(_ first: UInt64, _ second: UInt64, _ third: UInt64) -> FieldName {
    switch first {
    case word("t", "e"): .te
    case word("t", "r", "a", "i", "l", "e", "r"): .trailer
    case word("e", "x", "p", "e", "c", "t"): .expect
    case word("k", "e", "e", "p", "-", "a", "l", "i"): second == word("v", "e") ? .keepAlive : .other
    case word("l", "o", "c", "a", "t", "i", "o", "n"): second == blanks ? .location : .other
    case word("r", "e", "t", "r", "y", "-", "a", "f"): second == word("t", "e", "r") ? .retryAfter : .other
    case word("w", "w", "w", "-", "a", "u", "t", "h"):
      second == word("e", "n", "t", "i", "c", "a", "t", "e") && third == blanks ? .wwwAuthenticate : .other
    case word("f", "o", "r", "w", "a", "r", "d", "e"): second == word("d", " ") ? .forwarding : .other
    case word("x", "-", "r", "e", "a", "l", "-", "i"): second == word("p", " ") ? .forwarding : .other
    case word("i", "d", "e", "m", "p", "o", "t", "e"):
      second == word("n", "c", "y", "-", "k", "e", "y") ? .idempotencyKey : .other
    case word("t", "r", "a", "c", "e", "s", "t", "a"): second == word("t", "e") ? .tracestate : .other
    // The rest of `x-rate-limit-request-` is not looked at.
    case word("x", "-", "r", "a", "t", "e", "-", "l"):
      second == word("i", "m", "i", "t", "-", "r", "e", "q") ? .callerAddress : .other
    case word("p", "r", "o", "x", "y"): .proxy
    case word("h", "t", "t", "p", "2", "-", "s", "e"): second == word("t", "t", "i", "n", "g", "s") ? .upgrade : .other
    case word("f", "r", "o", "n", "t", "-", "e", "n"):
      second == word("d", "-", "h", "t", "t", "p", "s") ? .forwarding : .other
    // The addresses of clients that CDNs and load balancers tell.
    case word("t", "r", "u", "e", "-", "c", "l", "i"):
      second == word("e", "n", "t", "-", "i", "p") ? .forwarding : .other
    case word("c", "f", "-", "c", "o", "n", "n", "e"):
      second == word("c", "t", "i", "n", "g", "-", "i", "p") ? .forwarding : .other
    case word("c", "f", "-", "p", "s", "e", "u", "d"):
      second == word("o", "-", "i", "p", "v", "4") ? .forwarding : .other
    case word("c", "l", "i", "e", "n", "t", "-", "i"): second == word("p", " ") ? .forwarding : .other
    // RFC 9440: `Client-Cert` and `Client-Cert-Chain`.
    case word("c", "l", "i", "e", "n", "t", "-", "c"): second.begins("e", "r", "t") ? .forwarding : .other
    case word("f", "a", "s", "t", "l", "y", "-", "c"):
      second == word("l", "i", "e", "n", "t", "-", "i", "p") && third == blanks ? .forwarding : .other
    case word("f", "l", "y", "-", "c", "l", "i", "e"): second == word("n", "t", "-", "i", "p") ? .forwarding : .other
    case word("w", "l", "-", "p", "r", "o", "x", "y"):
      second == word("-", "c", "l", "i", "e", "n", "t", "-") && third == word("i", "p") ? .forwarding : .other
    case word("x", "-", "c", "l", "i", "e", "n", "t"): second == word("-", "i", "p") ? .forwarding : .other
    case word("x", "-", "c", "l", "u", "s", "t", "e"):
      second == word("r", "-", "c", "l", "i", "e", "n", "t") && third == word("-", "i", "p") ? .forwarding : .other
    case word("x", "-", "a", "z", "u", "r", "e", "-"):
      third == blanks
        && (second == word("c", "l", "i", "e", "n", "t", "i", "p")
          || second == word("s", "o", "c", "k", "e", "t", "i", "p"))
        ? .forwarding : .other
    case word("x", "-", "p", "r", "o", "x", "y", "u"):
      second == word("s", "e", "r", "-", "i", "p") ? .forwarding : .other
    case word("x", "-", "a", "p", "p", "e", "n", "g"): second.begins("i", "n", "e", "-") ? .forwarding : .other
    case word("x", "-", "e", "n", "v", "o", "y", "-"): .forwarding
    case word("x", "-", "r", "e", "m", "o", "t", "e"): second.begins("-") ? .forwarding : .other
    // The request as a proxy got it: method, scheme, host and path.
    case word("x", "-", "o", "r", "i", "g", "i", "n"): second.begins("a", "l", "-") ? .forwarding : .other
    case word("x", "-", "r", "e", "w", "r", "i", "t"): second.begins("e", "-") ? .forwarding : .other
    case word("x", "-", "h", "t", "t", "p", "-", "m"): second.begins("e", "t", "h", "o", "d") ? .forwarding : .other
    case word("x", "-", "m", "e", "t", "h", "o", "d"):
      second == word("-", "o", "v", "e", "r", "r", "i", "d") && third == word("e", " ") ? .forwarding : .other
    case word("x", "-", "u", "r", "l", "-", "s", "c"): second == word("h", "e", "m", "e") ? .forwarding : .other
    case word("x", "-", "s", "c", "h", "e", "m", "e"): second == blanks ? .forwarding : .other
    case word("x", "-", "h", "o", "s", "t"): .forwarding
    default: first.begins("p", "r", "o", "x", "y", "-") ? .proxy : .other
    }
  }
}

/// The first letters of the rare names, c e f h i k l p r t w x, as bits by the letter's place in the alphabet.
private var rareInitials: UInt64 {
  1 << 3 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 12 | 1 << 16 | 1 << 18 | 1 << 20 | 1 << 23 | 1 << 24
}

extension UInt64 {
  /// Whether a word of a name begins with these letters.
  @inline(__always)
  fileprivate func begins(
    _ a: Unicode.Scalar, _ b: Unicode.Scalar = "\0", _ c: Unicode.Scalar = "\0", _ d: Unicode.Scalar = "\0",
    _ e: Unicode.Scalar = "\0", _ f: Unicode.Scalar = "\0"
  ) -> Bool {
    let letters = UInt64(ascii: a, b, c, d, e, f)
    let count = 8 &- letters.leadingZeroBitCount &>> 3
    return (self ^ letters) & .mask(bytes: count) == 0
  }
}

/// A word of a name as `PackedName` has it; a constant once compiled.
@inline(__always)
private func word(
  _ a: Unicode.Scalar, _ b: Unicode.Scalar, _ c: Unicode.Scalar = "\0", _ d: Unicode.Scalar = "\0",
  _ e: Unicode.Scalar = "\0", _ f: Unicode.Scalar = "\0", _ g: Unicode.Scalar = "\0", _ h: Unicode.Scalar = "\0"
) -> UInt64 {
  UInt64(ascii: a, b, c, d, e, f, g, h).withLowerCaseLetters
}

/// What follows a name that fills its words.
private var blanks: UInt64 { word(" ", " ") }
