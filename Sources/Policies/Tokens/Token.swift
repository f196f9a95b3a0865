package import Digests
import HTTP1

/// An access token as `token new` makes it, or a client secret; presented tokens may have any other form.
///
/// `blnk_at_` or `blnk_cs_`, 43 base62 characters of 256 random bits, and 6 of the CRC-32 of the text before. The checksum is for
/// secret scanners and for typing errors only; admission compares digests.
package struct Token: Sendable {
  package enum Kind: String, Sendable {
    case access = "blnk_at_"
    case clientSecret = "blnk_cs_"
  }

  static let randomCharacters = 43
  static let checksumCharacters = 6

  /// Secret: show it once, to the operator that requested it.
  package let text: String

  /// A new token, from the system's random numbers.
  package static func mint(_ kind: Kind = .access) -> Token {
    Token(kind, words: (0..<4).map { _ in .random(in: .min ... .max) })
  }

  /// - Parameter words: 256 bits, secret and random.
  init(_ kind: Kind = .access, words: [UInt64]) {
    let body = kind.rawValue + base62(words, count: Self.randomCharacters)
    text = body + Self.checksum(of: body)
  }

  package var digest: Digest { Self.digest(of: text) }

  /// Whether a text has the form of a minted token and the right checksum.
  package static func hasValidChecksum(_ text: String, _ kind: Kind = .access) -> Bool {
    let body = text.dropLast(checksumCharacters)
    let prefix = kind.rawValue
    guard text.hasPrefix(prefix), body.utf8.count == prefix.utf8.count + randomCharacters,
      body.utf8.dropFirst(prefix.utf8.count).allSatisfy(isAlphanumeric)
    else { return false }
    return text.dropFirst(body.count) == checksum(of: String(body))
  }

  /// Whether a text is a b64token, which `Authorization: Bearer` requires (RFC 6750 §2.1).
  package static func canBePresented(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    return bytes.span.isToken68(0..<bytes.count)
  }

  /// The digest of any presented token.
  package static func digest(of text: String) -> Digest { SHA256.digest(of: Array(text.utf8).span) }

  private static func checksum(of body: String) -> String {
    base62([UInt64(crc32(Array(body.utf8)))], count: checksumCharacters)
  }
}

extension Token: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "<token \(digest.hex.prefix(8))>" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// `count` digits 0-9 A-Z a-z, the most significant first, of a number given as big-endian words; it must fit.
private func base62(_ words: [UInt64], count: Int) -> String {
  let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
  var words = words
  var text: [UInt8] = []
  for _ in 0..<count {
    var remainder: UInt64 = 0
    for index in words.indices {
      (words[index], remainder) = UInt64(62).dividingFullWidth((remainder, words[index]))
    }
    text.append(digits[Int(remainder)])
  }
  return String(decoding: text.reversed(), as: UTF8.self)
}

/// CRC-32 of IEEE 802.3, as zlib computes it.
func crc32(_ bytes: [UInt8]) -> UInt32 {
  var crc = ~UInt32(0)
  for byte in bytes {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xedb8_8320 : 0) }
  }
  return ~crc
}
