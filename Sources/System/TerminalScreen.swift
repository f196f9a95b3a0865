import Glibc

/// The whole screen of the terminal on standard input and output; its former content returns when this is destroyed.
///
/// Keys come without echo, each at once, also those that would send a signal.
package struct TerminalScreen: ~Copyable {
  private let before: termios

  /// Nil if standard input is not a terminal.
  package init?() {
    var keys = termios()
    guard unsafe tcgetattr(0, &keys) == 0 else { return nil }
    before = keys
    keys.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
    unsafe _ = tcsetattr(0, TCSAFLUSH, &keys)
    // The alternate screen, without a cursor and without wrapping of long lines.
    Self.write("\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l")
  }

  /// Shows these lines, and nothing else.
  package func show(_ lines: [String]) {
    Self.write("\u{1b}[H\(lines.map { "\($0)\u{1b}[K" }.joined(separator: "\r\n"))\u{1b}[J")
  }

  deinit {
    Self.write("\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l")
    var before = before
    unsafe _ = tcsetattr(0, TCSAFLUSH, &before)
  }

  /// If the terminal is gone, the next key is the end of the input.
  private static func write(_ text: String) { try? OutputFile.standardOutput.write(text.utf8Span.span) }
}
