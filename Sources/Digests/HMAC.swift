/// HMAC-SHA-256 (RFC 2104, RFC 4231) under one key, whose two blocks are hashed only once.
package struct HMAC: Sendable {
  private let inner: SHA256State
  private let outer: SHA256State

  /// - Parameter key: any length; a key of more than 64 bytes is hashed first (RFC 2104 §2).
  package init(key: Span<UInt8>) {
    var block = InlineArray<64, UInt8>(repeating: 0)
    if key.count > 64 {
      let digest = SHA256.digest(of: key).bytes
      for index in digest.indices { block[index] = digest[index] }
    } else {
      for index in 0..<key.count { block[index] = key[index] }
    }
    inner = Self.keyed(block, 0x36)
    outer = Self.keyed(block, 0x5c)
  }

  /// A stream to append a message to.
  package var message: SHA256Stream { SHA256Stream(inner, after: 64) }

  /// The authentication code of a message appended to a copy of `message`.
  package func code(of message: SHA256Stream) -> Digest { code(message.final) }

  /// The same for a message in one piece.
  package func code(of message: Span<UInt8>) -> Digest {
    var state = inner
    state.finish(message, after: 64)
    return code(state)
  }

  private func code(_ inner: SHA256State) -> Digest {
    var state = outer
    state.compressLast(inner)
    return state.digest
  }

  private static func keyed(_ block: InlineArray<64, UInt8>, _ pad: UInt8) -> SHA256State {
    var padded = block
    for index in padded.indices { padded[index] ^= pad }
    var state = SHA256State()
    state.compress(SHA256.wholeBlock(of: padded.span, at: 0))
    return state
  }
}

extension Digest {
  /// The 32 bytes in order.
  package var bytes: InlineArray<32, UInt8> {
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    Self.write(words.0, to: &bytes, at: 0)
    Self.write(words.1, to: &bytes, at: 8)
    Self.write(words.2, to: &bytes, at: 16)
    Self.write(words.3, to: &bytes, at: 24)
    return bytes
  }

  /// One store once compiled.
  @inline(__always)
  private static func write(_ word: UInt64, to bytes: inout InlineArray<32, UInt8>, at start: Int) {
    for index in 0..<8 { bytes[start &+ index] = UInt8(truncatingIfNeeded: word >> UInt64(56 &- 8 &* index)) }
  }
}
