import System

private let tokenBytesMax = 8192

/// Reads a token from standard input: one line, from a terminal unseen. Never an argument, which process lists show.
func readToken(for command: String) throws(CommandFault) -> String {
  let bytes: [UInt8]
  if Terminal.isAt(0) {
    Console.note("Token (not shown; end with Enter):")
    guard let line = Terminal.readLineUnseen(bytesMax: tokenBytesMax) else { throw .failed("\(command): broken off") }
    bytes = line
  } else {
    bytes = (try? InputFile.standardInput.read(tokenBytesMax + 2)) ?? []
  }
  guard bytes.count <= tokenBytesMax else { throw .failed("\(command): longer than \(tokenBytesMax) bytes") }
  let end = bytes.last == 0x0a ? bytes.dropLast(bytes.dropLast().last == 0x0d ? 2 : 1) : bytes[...]
  guard !end.isEmpty else { throw .failed("\(command): there is no token on standard input") }
  return String(decoding: end, as: UTF8.self)
}
