import Digests
import Policies

extension Command {
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
