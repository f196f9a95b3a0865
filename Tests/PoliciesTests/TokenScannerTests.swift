import Digests
import OAuth
import Testing

@testable import Policies

/// What is found in a stream of bytes, however it is cut.
@Suite struct TokenScannerTests {
  private static let token = mint(.access)
  private static let secret = mint(.clientSecret)

  private static func mint(_ kind: Token.Kind) -> String {
    Token.mint(kind).text
  }

  private func matches(_ bytes: [UInt8], cutAt cuts: [Int] = []) -> [TokenScanner.Match] {
    var scanner = TokenScanner()
    var (found, start) = ([TokenScanner.Match](), 0)
    for cut in cuts + [bytes.count] {
      scanner.read(Array(bytes[start..<cut]), isLast: cut == bytes.count && start != cut) { found.append($0) }
      start = cut
    }
    return found
  }

  private func texts(_ text: String) -> [String] { matches(Array(text.utf8)).map(\.text) }

  @Test func `finds every kind of token wherever the stream is cut`() throws {
    let policy = try OAuthFolder().policy()
    let signed = try [SignedTokenKind.access, .refresh].map { kind in try policy.signed(kind) }
    let tokens = [Self.token, signed[0], Self.secret, signed[1]]
    let padding = String(repeating: "x", count: 1_500)
    let bytes = Array("\(padding)\n\(tokens.joined(separator: "\n\"b"))\"\n\(padding)".utf8)
    let whole = matches(bytes)
    #expect(whole.map(\.text) == tokens && whole.map(\.line) == [2, 3, 4, 5])
    for match in whole { #expect(bytes[match.offset...].starts(with: match.text.utf8)) }
    for cut in 1..<bytes.count {
      let cutOnce = matches(bytes, cutAt: [cut])
      try #require(cutOnce.map(\.text) == tokens && cutOnce.map(\.offset) == whole.map(\.offset), "\(cut)")
    }
    #expect(matches(bytes, cutAt: Array(1..<bytes.count)).map(\.line) == whole.map(\.line))
  }

  @Test func `a token needs nothing around it, and only the right checksum`() throws {
    let token = Self.token
    for text in [token, "x\(token)x", "blnk_at_\(token)", "\0\(token)\0", "{\"t\":\"\(token)\\n\"}", "\(token)0"] {
      #expect(texts(text) == [token], "\(text)")
    }
    for index in token.utf8.indices {
      var bytes = Array(token.utf8)
      let offset = token.utf8.distance(from: token.utf8.startIndex, to: index)
      bytes[offset] = bytes[offset] == UInt8(ascii: "7") ? UInt8(ascii: "8") : UInt8(ascii: "7")
      #expect(matches(bytes).isEmpty)
    }
    #expect(texts(String(token.dropLast())).isEmpty && texts(token.uppercased()).isEmpty)
    #expect(texts(token.replacing("blnk_at_", with: "blnk_cs_")).isEmpty)
    #expect(texts(token + token) == [token, token])
  }

  @Test func `a signed token ends where its content does, and is none without the form of one`() throws {
    let policy = try OAuthFolder().policy()
    let token = try policy.signed()
    for text in [token, token + "AAAA", token + "_suffix", "x" + token + ".", token + token] {
      #expect(texts(text).allSatisfy { $0 == token } && !texts(text).isEmpty, "\(text)")
    }
    #expect(texts(String(token.dropLast())).isEmpty)
    #expect(texts("blnk_at_I\(String(repeating: "A", count: 900))").isEmpty)
    #expect(texts("blnk_rt_\(token.dropFirst(8))").isEmpty)
    // The form alone: the policy tells.
    let forged = token.dropLast() + (token.hasSuffix("A") ? "E" : "A")
    #expect(texts(String(forged)) == [String(forged)])
    #expect(policy.report(onSigned: String(forged), revoked: [], at: UnixSeconds(grantTime))?.fault == .forged)
  }

  @Test func `a code with and without a challenge, and any client and scope, are found whole`() throws {
    let authority = TokenAuthority(
      issuer: "https://a.example", audience: "a",
      keys: [TokenKey(name: "k", secret: Array(OAuthFolder.key.utf8).span)])
    let digest = SHA256.digest(of: [UInt8]().span)
    for (scope, client) in [
      ("proxy:read", "a"), (String(repeating: "s", count: 512), String(repeating: "c", count: 64)),
    ] {
      for grant in [TokenID.sample(1), .sample(2)] {
        for challenge in [nil, digest] {
          for kind in SignedTokenKind.allCases {
            let token = authority.sign(
              TokenClaims(
                kind: kind, id: .sample(1), grant: grant, client: client, scope: scope, issuedAt: grantTime,
                lifetimeSeconds: 60,
                code: kind == .code ? CodeBinding(redirectURI: digest, challenge: challenge) : nil))
            #expect(texts("=\(token)=") == [token])
            #expect(texts("\(token)A").map(\.utf8.count) == [token.utf8.count])
          }
        }
      }
    }
  }

  @Test func `random bytes after the prefix are not a token`() {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    for _ in 0..<20_000 {
      var text = Array("blnk_at_".utf8)
      for _ in 0..<120 { text.append(alphabet.randomElement() ?? 0) }
      #expect(matches(text).isEmpty)
    }
  }
}
