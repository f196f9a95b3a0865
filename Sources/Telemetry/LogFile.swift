import Foundation
import Glibc

/// A file that lines are appended to, or standard output for `-`.
struct LogFile {
  let path: String
  private let handle: FileHandle
  /// A write broke within a line.
  private var isTorn = false

  private static let mode = 0o640
  /// PIPE_BUF: on a descriptor that does not block, writes up to this are whole or not at all (pipe(7)).
  private static let pipeBytesMax = 4096
  /// How long a reader of a descriptor that does not block may take to make room.
  private static let waitsMax = 100
  private static let waitSeconds = 0.01

  init(path: String) throws(LogFileFault) {
    self.path = path
    handle = try path == "-" ? FileHandle.standardOutput : Self.open(path)
  }

  private static func open(_ path: String) throws(LogFileFault) -> FileHandle {
    let url = URL(fileURLWithPath: path)
    do {
      if !FileManager.default.fileExists(atPath: path) {
        // Without overwriting: a file that another process made meanwhile is not emptied.
        try Data().write(to: url, options: .withoutOverwriting)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
      }
      let handle = try FileHandle(forWritingTo: url)
      // Appending holds for every write, so two processes and a rotation that truncates leave whole lines.
      _ = fcntl(handle.fileDescriptor, F_SETFL, O_APPEND)
      return handle
    } catch {
      throw LogFileFault(path: path, action: "open", error: error)
    }
  }

  /// Writes whole lines; throws with the bytes that were not written left out for good.
  mutating func write(_ bytes: [UInt8]) throws(LogFileFault) {
    if isTorn { try writeWhole([UInt8(ascii: "\n")][...]) }
    // Standard output is shared, so another process may have changed it since the last write.
    let isBlocking = fcntl(handle.fileDescriptor, F_GETFL, 0) & O_NONBLOCK == 0
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = isBlocking ? rest : Self.lines(of: rest, bytesMax: Self.pipeBytesMax)
      try writeWhole(part)
      rest = rest[part.endIndex...]
    }
  }

  private mutating func writeWhole(_ part: ArraySlice<UInt8>) throws(LogFileFault) {
    for wait in 0...Self.waitsMax {
      do {
        try handle.write(contentsOf: Data(part))
        isTorn = false
        return
      } catch {
        let fault = LogFileFault(path: path, action: "write", error: error)
        isTorn = !fault.isFullPipe || part.count > Self.pipeBytesMax
        guard fault.isFullPipe, !isTorn, wait < Self.waitsMax else { throw fault }
        Thread.sleep(forTimeInterval: Self.waitSeconds)
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
  let isFullPipe: Bool

  init(path: String, action: String, error: any Error) {
    self.path = path
    self.action = action
    let error = error as NSError
    let code = Self.posixCode(error)
    isFullPipe = code == EAGAIN
    reason = Self.reason(code, error)
  }

  /// `cannot open /var/log/x/access.log: no such folder`.
  package var description: String { "cannot \(action) \(path == "-" ? "standard output" : path): \(reason)" }

  private static func posixCode(_ error: NSError) -> Int32? {
    let underlying = error.userInfo[NSUnderlyingErrorKey] as? NSError
    return [error, underlying].compactMap(\.self).first { $0.domain == NSPOSIXErrorDomain }.map { Int32($0.code) }
  }

  private static func reason(_ code: Int32?, _ error: NSError) -> String {
    switch (code, error.code) {
    // Foundation has no better words than "unknown" for a path that leads through a file.
    case (ENOENT, _), (ENOTDIR, _), (nil, CocoaError.fileNoSuchFile.rawValue),
      (nil, CocoaError.fileWriteUnknown.rawValue):
      "no such folder"
    case (EACCES, _), (EPERM, _), (nil, CocoaError.fileWriteNoPermission.rawValue): "permission denied"
    case (EISDIR, _): "it is a folder"
    case (EROFS, _): "the file system is read-only"
    case (ENOSPC, _), (nil, CocoaError.fileWriteOutOfSpace.rawValue): "no space left on device"
    case (EAGAIN, _): "its reader is too slow"
    case (EPIPE, _): "its reader is gone"
    case (let code?, _): "error \(code)"
    case (nil, _): error.localizedDescription
    }
  }
}
