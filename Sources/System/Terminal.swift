import CLinux
import Glibc

/// The terminal on a descriptor.
package enum Terminal {
  package static func isAt(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  /// Nil if it is not known.
  package static func columns(of descriptor: Int32) -> Int? {
    let columns = linux_terminal_columns(descriptor)
    return columns > 0 ? Int(columns) : nil
  }

  /// Nil if it is not known.
  package static func rows(of descriptor: Int32) -> Int? {
    let rows = linux_terminal_rows(descriptor)
    return rows > 0 ? Int(rows) : nil
  }

  /// Reads one line from the terminal on standard input, without its line feed; nil if the user ends the input (Ctrl-D).
  ///
  /// The terminal edits the line; the bytes after `bytesMax` are dropped.
  package static func readLine(bytesMax: Int) -> [UInt8]? {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while true {
      let count = unsafe read(0, &byte, 1)
      guard count == 1 || count < 0 && errno == EINTR else { return nil }
      if count < 0 { continue }
      if byte == UInt8(ascii: "\n") { return line }
      if line.count < bytesMax { line.append(byte) }
    }
  }

  /// Reads one line from the terminal on standard input without echo; nil if the user cancels it (Ctrl-C, Ctrl-D).
  ///
  /// Keyboard signals are off meanwhile: a process that ended here would leave the terminal without echo.
  package static func readLineWithoutEcho(bytesMax: Int) -> [UInt8]? {
    var before = termios()
    guard unsafe tcgetattr(0, &before) == 0 else { return nil }
    var withoutEcho = before
    withoutEcho.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
    unsafe _ = tcsetattr(0, TCSAFLUSH, &withoutEcho)
    defer { unsafe _ = tcsetattr(0, TCSAFLUSH, &before) }
    return readKeys(bytesMax: bytesMax)
  }

  private static func readKeys(bytesMax: Int) -> [UInt8]? {
    var line: [UInt8] = []
    var key: UInt8 = 0
    while unsafe read(0, &key, 1) == 1 {
      switch key {
      case 3, 4: return nil
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"): return line
      case 8, 127: _ = line.popLast()
      default: if line.count < bytesMax { line.append(key) }
      }
    }
    return nil
  }
}
