import Testing

@testable import Digests

@Suite struct SHA256Tests {
  @Test(arguments: [
    // FIPS 180-4 examples (NIST CSRC, SHA256.pdf), and the empty message.
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
  ])
  func `computes the digests of the FIPS 180-4 examples`(message: String, hex: String) {
    #expect(SHA256.digest(of: Array(message.utf8).span).hex == hex)
  }

  @Test func `computes the digest of one million a`() {
    let message = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
    #expect(
      SHA256.digest(of: message.span).hex == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test(arguments: Array(sha256ByLength.enumerated()))
  func `computes the digest of messages of every length to 300`(length: Int, hex: String) {
    let message = (0..<length).map { index in UInt8(truncatingIfNeeded: 31 * index + length) }
    #expect(SHA256.digest(of: message.span).hex == hex)
  }

  /// The other tests use the instructions of processors that have them.
  @Test func `computes the same blocks with and without instructions of the processor`() {
    var (portable, state) = (SHA256State(), SHA256State())
    for _ in 0..<1_000 {
      let block = SHA256State.Block { _ in .random(in: .min ... .max) }
      portable.compressPortably(block)
      state.compress(block)
    }
    // A difference in any block changes the digest after all of them.
    #expect(portable.digest == state.digest)
    // FIPS 180-4: one block with the message "abc".
    var abc = SHA256State()
    abc.compressPortably([0x6162_6380, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24])
    #expect(abc.digest.hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test func `reads and prints hex`() throws {
    let upper = try #require(Digest(hex: sha256ByLength[7].uppercased()))
    #expect(upper.hex == sha256ByLength[7])
    #expect(upper == Digest(hex: sha256ByLength[7]))
    #expect(upper != Digest(hex: sha256ByLength[8]))
    #expect(upper.prefix == UInt32(sha256ByLength[7].prefix(8), radix: 16))
  }

  @Test(arguments: ["", "ab", String(repeating: "0", count: 63), String(repeating: "g", count: 64)])
  func `rejects anything but 64 hexadecimal digits`(text: String) {
    #expect(Digest(hex: text) == nil)
  }
}
