/// Reads the text of a port digit by digit: 0 to 65535 without leading zeros, which some parsers take for octal.
struct PortReader {
  private(set) var port: UInt16?

  /// Takes the next byte; false if no port has it there.
  mutating func take(_ byte: UInt8) -> Bool {
    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), port != 0 else { return false }
    guard let next = UInt16(exactly: Int(port ?? 0) * 10 + Int(byte - UInt8(ascii: "0"))) else { return false }
    port = next
    return true
  }
}
