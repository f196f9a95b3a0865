/// The field names that the gateway treats specially, recognized once while parsing, ignoring ASCII case.
///
/// Names of credentials, lengths, origins and ids are also recognized with `_` or `.` in place of `-`, because some upstream
/// servers treat these spellings as the same field.
public enum FieldName: UInt8, Sendable, CaseIterable {
  case other
  /// `X-Blnk-Key`, `Content-Length` or `Transfer-Encoding` with another separator: ignored and not forwarded.
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
  /// Fields by which only a proxy may describe the peer or the original request: `Forwarded`, every `X-Forwarded…`,
  /// `X-Real-IP`, `True-Client-IP`, `X-Original-…`, `X-Rewrite-…`, `X-HTTP-Method-Override` and similar ones.
  case forwarding
  case idempotencyKey
  /// `Idempotent-Replayed`.
  case replayMark
  /// `X-Request-Id`.
  case requestID
  /// `X-Rate-Limit-Request-…`, in which Core echoes the address of its peer: the gateway's own.
  case peerEcho
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

  /// The meaning of this field's name with `_` or `.` in place of `-`.
  private var withOtherSeparators: FieldName {
    switch self {
    // A front-end proxy that checks only the real name must not be bypassed by an equivalent one.
    case .coreKey, .contentLength, .transferEncoding, .lookalike: .lookalike
    case .authorization, .proxy, .forwarding, .idempotencyKey, .requestID, .peerEcho, .traceparent, .tracestate,
      .upgrade:
      self
    case .other, .host, .connection, .keepAlive, .te, .trailer, .expect, .via, .date, .server, .location, .contentType,
      .retryAfter, .wwwAuthenticate, .replayMark:
      .other
    }
  }

  /// Looks up a name by its first word, and by the others if that is full; the compiler turns this into a binary search.
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
          : second == word("l", "o", "c", "a", "t", "i", "o", "n") && third == padding ? .location : .other
    case word("a", "u", "t", "h", "o", "r", "i", "z"):
      second == word("a", "t", "i", "o", "n") ? .authorization : .other
    case word("x", "-", "b", "l", "n", "k", "-", "k"): second == word("e", "y") ? .coreKey : .other
    case word("x", "-", "r", "e", "q", "u", "e", "s"): second == word("t", "-", "i", "d") ? .requestID : .other
    case word("t", "r", "a", "c", "e", "p", "a", "r"): second == word("e", "n", "t") ? .traceparent : .other
    case word("x", "-", "f", "o", "r", "w", "a", "r"):
      second & .mask(bytes: 3) == word("d", "e", "d") & .mask(bytes: 3) ? .forwarding : .other
    // The first letter is enough to rule out the rare names.
    default: rareInitials &>> (first & 0x1f) & 1 == 0 ? .other : rare(first, second, third)
    }
  }

  /// Names that few requests have.
  @inline(never)
  private static func rare(_ first: UInt64, _ second: UInt64, _ third: UInt64) -> FieldName {
    switch first {
    case word("t", "e"): .te
    case word("t", "r", "a", "i", "l", "e", "r"): .trailer
    case word("e", "x", "p", "e", "c", "t"): .expect
    case word("k", "e", "e", "p", "-", "a", "l", "i"): second == word("v", "e") ? .keepAlive : .other
    case word("l", "o", "c", "a", "t", "i", "o", "n"): second == padding ? .location : .other
    case word("r", "e", "t", "r", "y", "-", "a", "f"): second == word("t", "e", "r") ? .retryAfter : .other
    case word("w", "w", "w", "-", "a", "u", "t", "h"):
      second == word("e", "n", "t", "i", "c", "a", "t", "e") && third == padding ? .wwwAuthenticate : .other
    case word("f", "o", "r", "w", "a", "r", "d", "e"): second == word("d", " ") ? .forwarding : .other
    case word("x", "-", "r", "e", "a", "l", "-", "i"): second == word("p", " ") ? .forwarding : .other
    case word("i", "d", "e", "m", "p", "o", "t", "e"):
      second == word("n", "c", "y", "-", "k", "e", "y")
        ? .idempotencyKey
        : second == word("n", "t", "-", "r", "e", "p", "l", "a") && third == word("y", "e", "d")
          ? .replayMark : .other
    case word("t", "r", "a", "c", "e", "s", "t", "a"): second == word("t", "e") ? .tracestate : .other
    // The rest of `x-rate-limit-request-` is not checked.
    case word("x", "-", "r", "a", "t", "e", "-", "l"):
      second == word("i", "m", "i", "t", "-", "r", "e", "q") ? .peerEcho : .other
    case word("p", "r", "o", "x", "y"): .proxy
    case word("h", "t", "t", "p", "2", "-", "s", "e"): second == word("t", "t", "i", "n", "g", "s") ? .upgrade : .other
    case word("f", "r", "o", "n", "t", "-", "e", "n"):
      second == word("d", "-", "h", "t", "t", "p", "s") ? .forwarding : .other
    // Peer addresses as reported by CDNs and load balancers.
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
      second == word("l", "i", "e", "n", "t", "-", "i", "p") && third == padding ? .forwarding : .other
    case word("f", "l", "y", "-", "c", "l", "i", "e"): second == word("n", "t", "-", "i", "p") ? .forwarding : .other
    case word("w", "l", "-", "p", "r", "o", "x", "y"):
      second == word("-", "c", "l", "i", "e", "n", "t", "-") && third == word("i", "p") ? .forwarding : .other
    case word("x", "-", "c", "l", "i", "e", "n", "t"): second == word("-", "i", "p") ? .forwarding : .other
    case word("x", "-", "c", "l", "u", "s", "t", "e"):
      second == word("r", "-", "c", "l", "i", "e", "n", "t") && third == word("-", "i", "p") ? .forwarding : .other
    case word("x", "-", "a", "z", "u", "r", "e", "-"):
      third == padding
        && (second == word("c", "l", "i", "e", "n", "t", "i", "p")
          || second == word("s", "o", "c", "k", "e", "t", "i", "p"))
        ? .forwarding : .other
    case word("x", "-", "p", "r", "o", "x", "y", "u"):
      second == word("s", "e", "r", "-", "i", "p") ? .forwarding : .other
    case word("x", "-", "a", "p", "p", "e", "n", "g"): second.begins("i", "n", "e", "-") ? .forwarding : .other
    case word("x", "-", "e", "n", "v", "o", "y", "-"): .forwarding
    case word("x", "-", "r", "e", "m", "o", "t", "e"): second.begins("-") ? .forwarding : .other
    // The request as the proxy received it: method, scheme, host and path.
    case word("x", "-", "o", "r", "i", "g", "i", "n"): second.begins("a", "l", "-") ? .forwarding : .other
    case word("x", "-", "r", "e", "w", "r", "i", "t"): second.begins("e", "-") ? .forwarding : .other
    case word("x", "-", "h", "t", "t", "p", "-", "m"): second.begins("e", "t", "h", "o", "d") ? .forwarding : .other
    case word("x", "-", "m", "e", "t", "h", "o", "d"):
      second == word("-", "o", "v", "e", "r", "r", "i", "d") && third == word("e", " ") ? .forwarding : .other
    case word("x", "-", "u", "r", "l", "-", "s", "c"): second == word("h", "e", "m", "e") ? .forwarding : .other
    case word("x", "-", "s", "c", "h", "e", "m", "e"): second == padding ? .forwarding : .other
    case word("x", "-", "h", "o", "s", "t"): .forwarding
    default: first.begins("p", "r", "o", "x", "y", "-") ? .proxy : .other
    }
  }
}

/// The initials of the rare names, c e f h i k l p r t w x, as bits at the letters' positions in the alphabet.
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

/// A word of a name in the form of `PackedName`; a constant once compiled.
@inline(__always)
private func word(
  _ a: Unicode.Scalar, _ b: Unicode.Scalar, _ c: Unicode.Scalar = "\0", _ d: Unicode.Scalar = "\0",
  _ e: Unicode.Scalar = "\0", _ f: Unicode.Scalar = "\0", _ g: Unicode.Scalar = "\0", _ h: Unicode.Scalar = "\0"
) -> UInt64 {
  UInt64(ascii: a, b, c, d, e, f, g, h).withLowerCaseLetters
}

/// The word after a name that fills its words.
private var padding: UInt64 { word(" ", " ") }
