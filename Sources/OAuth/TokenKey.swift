import Digests

/// A key that signs and verifies tokens, and is used for nothing else.
package struct TokenKey: Sendable {
  package static let byteCountMin = 32

  /// As the operator names it.
  package let name: String
  /// In tokens: the first four bytes of the digest of its name.
  let number: UInt32
  let hmac: HMAC

  /// - Parameter secret: at least `byteCountMin` bytes.
  package init(name: String, secret: Span<UInt8>) {
    precondition(secret.count >= Self.byteCountMin)
    self.name = name
    number = SHA256.digest(of: Array(name.utf8).span).prefix
    hmac = HMAC(key: secret)
  }

  /// Whether tokens do not tell the two keys apart.
  package func clashes(with other: TokenKey) -> Bool { number == other.number }
}

/// Signs and verifies the tokens of one issuer for one audience. Any gateway with the same keys accepts them.
package struct TokenAuthority: Sendable {
  /// The first one signs; all verify.
  private let keys: [TokenKey]
  /// The first eight bytes of the digest of issuer and audience.
  let audience: UInt64

  /// - Parameter keys: at least one, with names that do not clash.
  package init(issuer: String, audience: String, keys: [TokenKey]) {
    precondition(!keys.isEmpty)
    self.keys = keys
    self.audience = SHA256.digest(of: (Array(issuer.utf8) + [0] + Array(audience.utf8)).span).words.0
  }

  var signingKey: TokenKey { keys[0] }

  /// The index of the key with this number; nil: none.
  func keyIndex(_ number: UInt32) -> Int? {
    for index in keys.indices where keys[index].number == number { return index }
    return nil
  }

  func code(of message: Span<UInt8>, keyIndex: Int) -> Digest {
    keys[keyIndex].hmac.code(of: message)
  }
}
