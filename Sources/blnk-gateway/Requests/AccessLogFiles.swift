import Policies
import System

/// The access logs of a command, oldest first. Those that gzip has compressed are decompressed by it.
final class AccessLogFiles {
  private struct LogFile {
    let path: String
    let file: InputFile
    let isCompressed: Bool
  }

  private var files: [LogFile] = []
  private let command: String
  /// Whether all files could be read to their ends so far; the others are reported.
  private(set) var areWhole = true

  var names: [String] { files.map(\.path) }

  init(_ arguments: Arguments, of command: String) throws(CommandFault) {
    self.command = command
    let paths = arguments.operands.isEmpty ? [try Self.path(in: PolicyFolder(arguments), command)] : arguments.operands
    var opened: [(path: String, file: InputFile)] = []
    for path in paths { opened.append((path, try AuditFiles.open(path, for: command))) }
    if let others = try CompressedFiles(opened, of: command, except: "zcat") { throw others.fault }
    for (path, file) in opened {
      let isCompressed = try CompressedFiles.tool(path, file, command) != nil
      files.append(LogFile(path: path, file: file, isCompressed: isCompressed))
    }
    guard files.count > 1, !files.contains(where: { $0.file.byteCount == nil }) else { return }
    var times: [[UInt8]] = []
    for file in files { times.append(try firstTime(file)) }
    let order = files.indices.sorted { left, right in
      times[left] == times[right] ? left < right : times[left].lexicographicallyPrecedes(times[right])
    }
    files = order.map { files[$0] }
  }

  /// Calls `body` with each line, without its newline. A line that is too long is a single empty one.
  func forEachLine(_ body: (Span<UInt8>) throws(CommandFault) -> Void) throws(CommandFault) {
    for file in files {
      try forEachLine(of: file) { line throws(CommandFault) in
        try body(line)
        return true
      }
    }
  }

  private static func path(in folder: PolicyFolder, _ command: String) throws(CommandFault) -> String {
    if case .file(let path) = GatewaySettings(in: folder).accessLog { return path }
    throw .failed(
      "\(command): \(folder.path)/gateway.json names no file as \"access_log\"; give files, or - for a pipe")
  }

  /// The first time in a file; empty if it has none.
  private func firstTime(_ file: LogFile) throws(CommandFault) -> [UInt8] {
    var entry = AccessLogEntry()
    var time: [UInt8] = []
    try forEachLine(of: file) { line throws(CommandFault) in
      guard entry.read(line) else { return true }
      time = Array(entry.text(.time, line).utf8)
      return false
    }
    return time
  }

  /// Reads until `body` returns false.
  private func forEachLine(
    of log: LogFile, _ body: (Span<UInt8>) throws(CommandFault) -> Bool
  ) throws(CommandFault) {
    var process: GzipProcess?
    do throws(Errno) {
      if log.file.byteCount != nil { try log.file.seek(to: 0) }
      if log.isCompressed { process = try GzipProcess(decompressing: log.file) }
    } catch {
      let path = log.path.shellQuoted
      throw .failed(
        log.isCompressed
          ? "\(command): cannot run \(GzipProcess.program): \(error); use a pipe: zcat \(path) | blnk-gateway \(command) -"
          : "\(command): cannot read \(log.path): \(error)")
    }
    var lines = LogLines(process?.output ?? log.file)
    var isWithinLine = false
    while true {
      do throws(Errno) {
        guard try lines.next() else { break }
      } catch {
        return report(log, "cannot read \(log.path): \(error)")
      }
      // No piece of a line that is too long is taken for a line.
      let isRest = isWithinLine
      isWithinLine = !lines.isWhole
      if isRest { continue }
      var fault: CommandFault?
      let continues = lines.withLine { line in
        do throws(CommandFault) {
          return try body(line.count > LogLines.lineBytesMax ? Span() : line)
        } catch {
          fault = error
          return false
        }
      }
      if let fault { throw fault }
      guard continues else { return }
    }
    if let process, !process.end() {
      report(log, "\(log.path): damaged or incomplete: gzip cannot decompress all of it")
    }
  }

  private func report(_ log: LogFile, _ message: String) {
    areWhole = false
    Console.log(Console.styled("error: ", .red, on: .errors) + "\(command): \(message)")
  }
}
