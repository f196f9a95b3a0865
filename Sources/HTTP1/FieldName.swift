/// The field names that the gateway treats specially, found once while parsing, ASCII case ignored.
///
/// Names that carry credentials, origins or ids are also found with `_` or `.` in place of `-`, since some servers
/// behind the gateway take these spellings for the same field.
public enum FieldName: UInt8, Sendable, CaseIterable {
  case other
  case host, connection, keepAlive, te, trailer, transferEncoding, upgrade, contentLength, expect
  case authorization
  /// `X-Blnk-Key`.
  case coreKey
  /// `Proxy` and every `Proxy-…`.
  case proxy
  /// `Forwarded`, `X-Real-IP` and every `X-Forwarded…`.
  case forwarding
  case idempotencyKey
  /// `X-Request-Id`.
  case requestID
  /// `X-Rate-Limit-Request-…`: Core shows the address of its caller, which is the gateway.
  case callerAddress
  case traceparent, tracestate, via, date, server, location, contentType, retryAfter, wwwAuthenticate
}

extension FieldName {
  @inline(__always)
  init(_ name: PackedName) {
    let known = Self.known(name.first, name.second, name.third)
    self = name.hasOtherSeparators && !known.takesAnySeparator ? .other : known
  }

  /// The field that is meant with `_` or `.` too.
  private var takesAnySeparator: Bool {
    switch self {
    case .authorization, .coreKey, .proxy, .forwarding, .idempotencyKey, .requestID, .callerAddress, .traceparent,
      .tracestate:
      true
    case .other, .host, .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade, .contentLength, .expect,
      .via, .date, .server, .location, .contentType, .retryAfter, .wwwAuthenticate:
      false
    }
  }

  /// By its first word, and by the others where that is full: the compiler makes a search by halves of it.
  private static func known(_ first: UInt64, _ second: UInt64, _ third: UInt64) -> FieldName {
    switch first {
    case word("h", "o", "s", "t"): .host
    case word("t", "e"): .te
    case word("t", "r", "a", "i", "l", "e", "r"): .trailer
    case word("u", "p", "g", "r", "a", "d", "e"): .upgrade
    case word("e", "x", "p", "e", "c", "t"): .expect
    case word("v", "i", "a"): .via
    case word("d", "a", "t", "e"): .date
    case word("s", "e", "r", "v", "e", "r"): .server
    case word("p", "r", "o", "x", "y"): .proxy
    case word("c", "o", "n", "n", "e", "c", "t", "i"): second == word("o", "n") ? .connection : .other
    case word("k", "e", "e", "p", "-", "a", "l", "i"): second == word("v", "e") ? .keepAlive : .other
    case word("t", "r", "a", "n", "s", "f", "e", "r"):
      second == word("-", "e", "n", "c", "o", "d", "i", "n") && third == word("g", " ")
        ? .transferEncoding : .other
    case word("c", "o", "n", "t", "e", "n", "t", "-"):
      second == word("l", "e", "n", "g", "t", "h")
        ? .contentLength : second == word("t", "y", "p", "e") ? .contentType : .other
    case word("l", "o", "c", "a", "t", "i", "o", "n"): second == blanks ? .location : .other
    case word("r", "e", "t", "r", "y", "-", "a", "f"): second == word("t", "e", "r") ? .retryAfter : .other
    case word("w", "w", "w", "-", "a", "u", "t", "h"):
      second == word("e", "n", "t", "i", "c", "a", "t", "e") && third == blanks ? .wwwAuthenticate : .other
    case word("a", "u", "t", "h", "o", "r", "i", "z"):
      second == word("a", "t", "i", "o", "n") ? .authorization : .other
    case word("x", "-", "b", "l", "n", "k", "-", "k"): second == word("e", "y") ? .coreKey : .other
    case word("f", "o", "r", "w", "a", "r", "d", "e"): second == word("d", " ") ? .forwarding : .other
    case word("x", "-", "r", "e", "a", "l", "-", "i"): second == word("p", " ") ? .forwarding : .other
    case word("i", "d", "e", "m", "p", "o", "t", "e"):
      second == word("n", "c", "y", "-", "k", "e", "y") ? .idempotencyKey : .other
    case word("x", "-", "r", "e", "q", "u", "e", "s"): second == word("t", "-", "i", "d") ? .requestID : .other
    case word("t", "r", "a", "c", "e", "p", "a", "r"): second == word("e", "n", "t") ? .traceparent : .other
    case word("t", "r", "a", "c", "e", "s", "t", "a"): second == word("t", "e") ? .tracestate : .other
    case word("x", "-", "f", "o", "r", "w", "a", "r"):
      second & .mask(bytes: 3) == word("d", "e", "d") & .mask(bytes: 3) ? .forwarding : .other
    // The rest of `x-rate-limit-request-` is not looked at.
    case word("x", "-", "r", "a", "t", "e", "-", "l"):
      second == word("i", "m", "i", "t", "-", "r", "e", "q") ? .callerAddress : .other
    default: first & .mask(bytes: 6) == word("p", "r", "o", "x", "y", "-") & .mask(bytes: 6) ? .proxy : .other
    }
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
