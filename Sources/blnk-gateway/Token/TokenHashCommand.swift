import Digests
import Policies
import System

extension Command {
  static let tokenHash = Command(
    name: "token hash", summary: "print the digest of a token", usage: "",
    description: """
      Reads a token from standard input; on a terminal, it asks for it and does not
      show it. Accepts any token that can be sent as Bearer, not only those of "token
      new".

      Prints the token's SHA-256, for "sha256" in clients.json. Warns if the checksum
      at the end of a blnk_at_ token is wrong.
      """,
    options: [],
    exitCodes: [0: "success", 1: "there is no token, or it cannot be sent as Bearer"],
    example: "blnk-gateway token hash < token.txt",
    noOperandsReason:
      "takes no arguments, because process lists and shell histories show them; pass the token on standard input"
  ) { _ throws(CommandFault) in
    let text = try readToken(for: "token hash")
    guard Token.canBePresented(text) else {
      throw .failed(
        "token hash: not a token: only letters, digits and -._~+/ can be sent as Bearer, followed by any number of =")
    }
    if text.hasPrefix("blnk_at_"), !Token.hasValidChecksum(text) {
      Console.log("warning: the token's checksum is wrong; it is mistyped, or was not made by \"token new\"")
    }
    try Console.print(Token.digest(of: text).hex)
    return 0
  }
}

private let tokenBytesMax = 8192

/// Reads a token from standard input: one line, without echo on a terminal. Tokens are never arguments, because process
/// lists show those.
func readToken(for command: String) throws(CommandFault) -> String {
  let bytes: [UInt8]
  if Terminal.isAt(0) {
    Console.log("Token (not shown; press Enter at the end):")
    guard let line = Terminal.readLineWithoutEcho(bytesMax: tokenBytesMax) else {
      throw .failed("\(command): interrupted")
    }
    bytes = line
  } else {
    bytes = (try? InputFile.standardInput.read(tokenBytesMax + 2)) ?? []
  }
  guard bytes.count <= tokenBytesMax else { throw .failed("\(command): the token exceeds \(tokenBytesMax) bytes") }
  let end = bytes.last == 0x0a ? bytes.dropLast(bytes.dropLast().last == 0x0d ? 2 : 1) : bytes[...]
  guard !end.isEmpty else { throw .failed("\(command): no token on standard input") }
  return String(decoding: end, as: UTF8.self)
}
