/// Text that an unknown peer may have written, for a message in double quotes: everything but printable ASCII is escaped, so
/// that it can neither control a terminal nor look like another text.
package func printable(_ text: String) -> String {
  text.unicodeScalars.reduce(into: "") { result, scalar in
    let isPlain = (0x20...0x7e).contains(scalar.value) && scalar != "\""
    result += isPlain ? String(scalar) : scalar.escaped(asASCII: true)
  }
}
