import Glibc
import System

/// A file that lines are appended to, or standard output for `-`.
struct LogFile {
  let path: String
  private let file: OutputFile
  /// A write broke within a line.
  private var isTorn = false

  private static let mode: UInt32 = 0o640
  /// PIPE_BUF: on a descriptor that does not block, writes up to this are whole or not at all (pipe(7)).
  private static let pipeBytesMax = 4096
  /// How long a reader of a descriptor that does not block may take to make room.
  private static let waitsMax = 100
  private static let waitMilliseconds = 10

  init(path: String) throws(LogFileFault) {
    self.path = path
    do throws(Errno) {
      file = try path == "-" ? .standardOutput : OutputFile(appendingTo: path, mode: Self.mode)
    } catch {
      throw LogFileFault(path: path, action: "open", error: error)
    }
  }

  /// Writes whole lines; throws with the bytes that were not written left out for good.
  mutating func write(_ bytes: [UInt8]) throws(LogFileFault) {
    if isTorn { try writeWhole([UInt8(ascii: "\n")][...]) }
    // Standard output is shared, so another process may have changed it since the last write.
    let isBlocking = file.isBlocking
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = isBlocking ? rest : Self.lines(of: rest, bytesMax: Self.pipeBytesMax)
      try writeWhole(part)
      rest = rest[part.endIndex...]
    }
  }

  private mutating func writeWhole(_ part: ArraySlice<UInt8>) throws(LogFileFault) {
    for wait in 0...Self.waitsMax {
      do throws(Errno) {
        try file.write(part.span)
        isTorn = false
        return
      } catch {
        isTorn = error != .again || part.count > Self.pipeBytesMax
        guard !isTorn, wait < Self.waitsMax else { throw LogFileFault(path: path, action: "write", error: error) }
        sleep(milliseconds: Self.waitMilliseconds)
      }
    }
  }

  /// The longest beginning of whole lines within the bound; a longer line goes alone.
  private static func lines(of bytes: ArraySlice<UInt8>, bytesMax: Int) -> ArraySlice<UInt8> {
    guard bytes.count > bytesMax else { return bytes }
    let newline = UInt8(ascii: "\n")
    let end = bytes.prefix(bytesMax).lastIndex(of: newline) ?? bytes.firstIndex(of: newline) ?? bytes.endIndex - 1
    return bytes[...end]
  }
}

/// Why a log cannot be opened or written.
package struct LogFileFault: Error, CustomStringConvertible {
  package let path: String
  package let action: String
  package let reason: String

  init(path: String, action: String, error: Errno) {
    self.path = path
    self.action = action
    reason = Self.reason(error)
  }

  /// `cannot open /var/log/x/access.log: no such folder`.
  package var description: String { "cannot \(action) \(path == "-" ? "standard output" : path): \(reason)" }

  private static func reason(_ error: Errno) -> String {
    switch error.number {
    case ENOENT, ENOTDIR: "no such folder"
    case EACCES, EPERM: "permission denied"
    case EISDIR: "it is a folder"
    case EROFS: "the file system is read-only"
    case ENOSPC: "no space left on device"
    case EAGAIN: "its reader is too slow"
    case EPIPE: "its reader is gone"
    default: error.description
    }
  }
}
