import CLinux
import Glibc

/// The terminal at a descriptor.
package enum Terminal {
  package static func isAt(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

  /// Reads one line from the terminal at standard input without showing it; nil when it is broken off (Ctrl-C, Ctrl-D).
  ///
  /// Signals from the keyboard are off meanwhile, because a process that ended here would leave the terminal mute.
  package static func readLineUnseen(bytesMax: Int) -> [UInt8]? {
    var before = termios()
    guard unsafe tcgetattr(0, &before) == 0 else { return nil }
    var unseen = before
    unseen.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
    unsafe _ = tcsetattr(0, TCSAFLUSH, &unseen)
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
