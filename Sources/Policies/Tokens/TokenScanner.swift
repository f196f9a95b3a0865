package import OAuth

/// Finds tokens in a stream of bytes: those of `token new` and `client secret new` by their checksum, and those of the
/// token endpoint by their form. Holds `windowBytes` of the stream and what the last call has added.
package struct TokenScanner {
  package enum Kind: Sendable {
    /// Its checksum is right.
    case minted(Token.Kind)
    /// It has the form of one; whether it is one tells `Policy.report(onSigned:)`.
    case signed(SignedTokenKind)
  }

  package struct Match: Sendable {
    package let kind: Kind
    /// Secret: not to be shown.
    package let text: String
    /// Of its first byte in the stream, from 0.
    package let offset: Int
    /// From 1.
    package let line: Int
  }

  /// No token is longer.
  private static let windowBytes = TokenAuthority.tokenCharactersMax

  /// In which a match may begin that is not there as a whole yet.
  private var bytes: [UInt8] = []
  /// Of the first of `bytes`.
  private var offset = 0
  private var line = 1
  /// Whether a zero byte has passed, so that lines mean little.
  package private(set) var isBinary = false

  package init() {}

  /// Reads the next bytes.
  ///
  /// - Parameters:
  ///   - isLast: whether the stream ends with them.
  ///   - found: called for each token, in the order of their offsets.
  @_optimize(speed)
  package mutating func read(_ next: [UInt8], isLast: Bool, _ found: (Match) -> Void) {
    let window = bytes + next
    // A match that begins before this is in the window as a whole.
    let end = isLast ? window.count : max(0, window.count - Self.windowBytes + 1)
    var matches: [Match] = []
    let span = window.span
    for index in 0..<end {
      switch span[index] {
      case UInt8(ascii: "\n"): line += 1
      case 0: isBinary = true
      case UInt8(ascii: "b"):
        if let (kind, count) = Self.token(span.extracting(index...)) {
          let text = String(decoding: window[index..<index + count], as: UTF8.self)
          matches.append(Match(kind: kind, text: text, offset: offset + index, line: line))
        }
      default: break
      }
    }
    bytes = Array(window[end...])
    offset += end
    for match in matches { found(match) }
  }

  /// The token at the start of `bytes`, and its length.
  @inline(never)
  private static func token(_ bytes: Span<UInt8>) -> (Kind, count: Int)? {
    for kind in [Token.Kind.access, .clientSecret] where Token.isMinted(bytes, kind) {
      return (.minted(kind), Token.characterCount)
    }
    return SignedTokenForm(bytes).map { form in (.signed(form.kind), form.characterCount) }
  }
}

extension Token {
  /// Every kind has a prefix of the same length.
  fileprivate static let characterCount = Kind.access.rawValue.utf8.count + randomCharacters + checksumCharacters

  /// Whether a token begins at the start of `bytes`, whatever follows.
  fileprivate static func isMinted(_ bytes: Span<UInt8>, _ kind: Kind) -> Bool {
    guard bytes.count >= characterCount, bytes[4] == UInt8(ascii: "_") else { return false }
    var text: [UInt8] = []
    for index in 0..<characterCount {
      guard isAlphanumeric(bytes[index]) || bytes[index] == UInt8(ascii: "_") else { return false }
      text.append(bytes[index])
    }
    return hasValidChecksum(String(decoding: text, as: UTF8.self), kind)
  }
}
