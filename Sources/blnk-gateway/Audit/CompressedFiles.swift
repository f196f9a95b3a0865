import Audit
import System

/// Log files that a rotation has compressed and a command cannot read; the error message shows how to.
struct CompressedFiles {
  private let command: String
  /// With the tool that decompresses them; oldest first.
  private let compressed: [(path: String, tool: String)]
  /// The other files, oldest first.
  private let plain: [String]

  /// The magic numbers of compressed files, and the tools that decompress them.
  private static let tools: [(magic: [UInt8], tool: String)] = [
    ([0x1f, 0x8b], "zcat"), ([0xfd, 0x37, 0x7a, 0x58, 0x5a], "xzcat"), ([0x28, 0xb5, 0x2f, 0xfd], "zstdcat"),
    ([0x42, 0x5a, 0x68], "bzcat"), ([0x50, 0x4b, 0x03, 0x04], "unzip -p"),
  ]

  /// The tool that decompresses a file that begins like this; nil: it is not compressed.
  static func tool(for beginning: [UInt8]) -> String? { tools.first { beginning.starts(with: $0.magic) }?.tool }

  /// Nil if no file is compressed. Does not look into pipes.
  ///
  /// - Parameter readable: the tool of files that the command can read; nil: it reads no compressed ones.
  init?(
    _ files: [(path: String, file: InputFile)], of command: String, except readable: String? = nil
  ) throws(CommandFault) {
    self.command = command
    var compressed: [(path: String, tool: String)] = []
    var plain: [(path: String, file: InputFile)] = []
    for (path, file) in files {
      if let tool = try Self.tool(path, file, command), tool != readable {
        compressed.append((path, tool))
      } else {
        plain.append((path, file))
      }
    }
    guard !compressed.isEmpty else { return nil }
    self.compressed = compressed.sorted { Self.isOlder($0.path, $1.path) }
    self.plain = Self.inOrder(plain)
  }

  var fault: CommandFault {
    let tools = compressed.map(\.tool).reduce(into: [String]()) { tools, tool in
      if tools.last != tool { tools.append(tool) }
    }
    let names = compressed.map(\.path)
    let unpacking: String =
      tools.count == 1
      ? "\(tools[0]) \(quoted(names))"
      : "{ \(compressed.map { "\($0.tool) \($0.path.shellQuoted)" }.joined(separator: "; ")); }"
    let rest = plain.isEmpty ? "" : " \(quoted(plain))"
    return .usage(
      "\(command): \(names.joined(separator: ", ")): compressed; use a pipe, with the same options: "
        + "\(unpacking) | blnk-gateway \(command) -\(rest)")
  }

  /// The tool that decompresses a file; nil: it is not compressed, or a pipe.
  static func tool(_ path: String, _ file: InputFile, _ command: String) throws(CommandFault) -> String? {
    guard file.byteCount != nil, path != "-" else { return nil }
    do throws(Errno) {
      let bytes = try file.read(8)
      try file.seek(to: 0)
      return tool(for: bytes)
    } catch {
      throw .failed("\(command): cannot read \(path): \(error)")
    }
  }

  /// By logrotate's file names: a number that increases with age, or else a date that decreases.
  private static func isOlder(_ left: String, _ right: String) -> Bool {
    switch (age(left), age(right)) {
    case (let left?, let right?) where left != right: left > right
    case (.some, nil): true
    case (nil, .some): false
    default: left < right
    }
  }

  /// For example 12 for `audit.log.12.gz`.
  private static func age(_ path: String) -> Int? {
    let parts = path.split(separator: ".")
    return parts.count > 2 ? Int(parts[parts.count - 2]) : nil
  }

  private static func inOrder(_ files: [(path: String, file: InputFile)]) -> [String] {
    guard let ends = try? files.map({ try AuditFileEnds($0.file) }) else { return files.map(\.path) }
    return AuditFileEnds.order(ends).map { files[$0].path }
  }

  private func quoted(_ paths: [String]) -> String {
    paths.map(\.shellQuoted).joined(separator: " ")
  }
}
