import Glibc
import System

/// A file to append lines to, or standard output for `-`.
struct LogFile {
  let path: String
  private let file: OutputFile
  /// Whether the last write ended within a line.
  private var isTorn = false

  private static let mode: UInt32 = 0o640
  /// PIPE_BUF: on a non-blocking pipe, writes up to this size are atomic (pipe(7)).
  private static let pipeBytesMax = 4096
  /// How often to retry on a non-blocking pipe that is full.
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

  /// Writes whole lines; after a fault, the unwritten bytes are lost.
  mutating func write(_ bytes: [UInt8]) throws(LogFileFault) {
    if isTorn { try writeWhole([UInt8(ascii: "\n")][...]) }
    // Standard output is shared: another process may have changed its mode since the last write.
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
        isTorn = error != .wouldBlock || part.count > Self.pipeBytesMax
        guard !isTorn, wait < Self.waitsMax else { throw LogFileFault(path: path, action: "write", error: error) }
        sleep(milliseconds: Self.waitMilliseconds)
      }
    }
  }

  /// The longest prefix of whole lines within the bound; a line beyond it is returned alone.
  private static func lines(of bytes: ArraySlice<UInt8>, bytesMax: Int) -> ArraySlice<UInt8> {
    guard bytes.count > bytesMax else { return bytes }
    let newline = UInt8(ascii: "\n")
    let end = bytes.prefix(bytesMax).lastIndex(of: newline) ?? bytes.firstIndex(of: newline) ?? bytes.endIndex - 1
    return bytes[...end]
  }
}

/// Why a log file cannot be opened or written.
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
    case EAGAIN: "the reader is too slow"
    case EPIPE: "the reader has closed it"
    default: error.description
    }
  }
}
