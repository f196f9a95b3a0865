import Policies

extension Command {
  static let tokenNew = Command(
    name: "token new", abstract: "makes an access token",
    lesson: """
      Prints a new token, once, and below it the entry for "tokens" of a client in clients.json. The gateway knows tokens by
      their SHA-256 only, so that nobody can read them from its files; hand the token itself to its holder.

        blnk-gateway token new

      The entry may also say when the token ends, and whose it is:
      { "sha256": "…", "expires": "2027-01-01T00:00:00Z", "note": "laptop" }
      """,
    flags: [], operandsRefused: "takes no arguments; what a token may do stands in clients.json"
  ) { _ throws(CommandFault) in
    var generator = SystemRandomNumberGenerator()
    let token = Token.mint(using: &generator)
    try Console.print(token.text)
    try Console.print(#"{ "sha256": "\#(token.digest)" }"#)
    Console.note(
      "The first line is the token: it is shown this once. The second goes into clients.json, under \"tokens\".")
    return 0
  }

  static let tokenHash = Command(
    name: "token hash", abstract: "gives the digest of a token",
    lesson: """
      Reads a token from standard input, or asks for it without showing it, and prints the SHA-256 that clients.json wants.
      It warns when a blnk_at_ token is mistyped, by the checksum in its last characters.

        blnk-gateway token hash < token.txt
      """,
    flags: [],
    operandsRefused:
      "takes no arguments, which process lists and shell histories show; the token is read from standard input"
  ) { _ throws(CommandFault) in
    let text = try readToken(for: "token hash")
    guard Token.canBePresented(text) else {
      throw .failed("token hash: no token: only letters, digits and -._~+/ can be sent as Bearer, with = at the end")
    }
    if text.hasPrefix("blnk_at_"), !Token.checksumHolds(text) {
      Console.note("warning: the token's checksum does not hold; it is mistyped, or not of this gateway's making")
    }
    try Console.print(Token.digest(of: text).hex)
    return 0
  }
}
