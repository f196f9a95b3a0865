import Audit
import FoundationEssentials
import Policies
import System

/// The log files of an audit command, in the order in which they were written.
struct AuditFiles {
  private let files: [(path: String, file: InputFile)]
  /// The total size; nil if one of them is a pipe.
  private let byteCount: Int?
  /// Whether any of the chains uses a key. Always false if one of the files is a pipe.
  let isKeyed: Bool
  private let command: String

  init(_ arguments: Arguments, of command: String) throws(CommandFault) {
    self.command = command
    let paths = arguments.operands.isEmpty ? [try Self.path(in: PolicyFolder(arguments), command)] : arguments.operands
    var files: [(path: String, file: InputFile)] = []
    for path in paths { files.append((path, try Self.open(path, for: command))) }
    if let compressed = try CompressedFiles(files, of: command) { throw compressed.fault }
    let sizes = files.map(\.file.byteCount)
    guard !sizes.contains(nil) else {
      // A pipe cannot be read twice, so the order is as given.
      (self.files, byteCount, isKeyed) = (files, nil, false)
      return
    }
    do throws(Errno) {
      let ends = try files.map { file throws(Errno) in try AuditFileEnds(file.file) }
      self.files = AuditFileEnds.order(ends).map { files[$0] }
      isKeyed = ends.contains { $0.first?.isKeyed == true }
      for file in files { try file.file.seek(to: 0) }
    } catch {
      throw .failed("\(command): cannot read \(paths.joined(separator: ", ")): \(error)")
    }
    byteCount = sizes.compactMap(\.self).reduce(0, +)
  }

  private static func path(in folder: PolicyFolder, _ command: String) throws(CommandFault) -> String {
    if case .file(let path) = GatewaySettings(in: folder).auditLog { return path }
    throw .failed(
      "\(command): \(folder.path)/gateway.json names no file as \"audit_log\"; give files, or - for a pipe")
  }

  var names: [String] { files.map(\.path) }

  /// Reads all lines, and shows the progress on a terminal.
  func forEachLine(
    begin: (String) -> Void = { _ in }, _ body: (_ line: Span<UInt8>, _ isWhole: Bool) -> Void
  ) throws(CommandFault) {
    var progress = Progress(byteCount: byteCount)
    defer { progress.clear() }
    for (path, file) in files {
      begin(path)
      var lines = LogLines(file)
      do throws(Errno) {
        var offset = 0
        while try lines.next() {
          lines.withLine { body($0, lines.isWhole) }
          if lines.offset > offset {
            progress.add(lines.offset - offset)
            offset = lines.offset
          }
        }
      } catch {
        throw .failed("\(command): cannot read \(path): \(error)")
      }
    }
  }

  static func open(_ path: String, for command: String) throws(CommandFault) -> InputFile {
    if path == "-" { return .standardInput }
    var isFolder = false
    _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    guard !isFolder else { throw .failed("\(command): \(path): is a folder") }
    do throws(Errno) {
      return try InputFile(path: path)
    } catch {
      throw .failed("\(command): \(path): \(error)")
    }
  }
}

extension Decodable {
  /// The members of an entry; nil: the line has another form.
  init?(auditLine line: [UInt8]) {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    guard let entry = try? decoder.decode(Self.self, from: Data(line)) else { return nil }
    self = entry
  }
}
