import System
import Telemetry

/// Files of a log that a rotation has compressed. No command reads them itself; a refusal says what does.
struct CompressedFiles {
  private let command: String
  /// Each with the tool that unpacks it, oldest first.
  private let compressed: [(path: String, tool: String)]
  /// The others, oldest first.
  private let plain: [String]

  /// How a compressed file begins, and what unpacks it.
  private static let tools: [(beginning: [UInt8], tool: String)] = [
    ([0x1f, 0x8b], "zcat"), ([0xfd, 0x37, 0x7a, 0x58, 0x5a], "xzcat"), ([0x28, 0xb5, 0x2f, 0xfd], "zstdcat"),
    ([0x42, 0x5a, 0x68], "bzcat"),
  ]

  /// nil where none is compressed; what comes through a pipe is not looked at.
  init?(_ files: [(path: String, file: InputFile)], of command: String) throws(CommandFault) {
    self.command = command
    var compressed: [(path: String, tool: String)] = []
    var plain: [(path: String, file: InputFile)] = []
    for (path, file) in files {
      if let tool = try Self.tool(path, file, command) {
        compressed.append((path, tool))
      } else {
        plain.append((path, file))
      }
    }
    guard !compressed.isEmpty else { return nil }
    self.compressed = compressed.sorted { Self.isOlder($0.path, $1.path) }
    self.plain = Self.inOrder(plain)
  }

  func refuse() throws(CommandFault) {
    let tools = compressed.map(\.tool).reduce(into: [String]()) { tools, tool in
      if tools.last != tool { tools.append(tool) }
    }
    let names = compressed.map(\.path)
    let unpacking: String =
      tools.count == 1
      ? "\(tools[0]) \(quoted(names))"
      : "{ \(compressed.map { "\($0.tool) \(quoted([$0.path]))" }.joined(separator: "; ")); }"
    let rest = plain.isEmpty ? "" : " \(quoted(plain))"
    let isOne = names.count == 1
    throw .usage(
      "\(command): \(names.joined(separator: ", ")): compressed; unpack \(isOne ? "it" : "them") into a pipe, with the "
        + "flags as they were: \(unpacking) | blnk-gateway \(command) -\(rest)")
  }

  private static func tool(_ path: String, _ file: InputFile, _ command: String) throws(CommandFault) -> String? {
    guard file.byteCount != nil, path != "-" else { return nil }
    do throws(Errno) {
      let beginning = try file.read(8)
      try file.seek(to: 0)
      return tools.first { beginning.starts(with: $0.beginning) }?.tool
    } catch {
      throw .failed("\(command): cannot read \(path): \(error)")
    }
  }

  /// As logrotate names them: by a number that rises with the age, else by a date that falls with it.
  private static func isOlder(_ left: String, _ right: String) -> Bool {
    switch (age(left), age(right)) {
    case (let left?, let right?) where left != right: left > right
    case (.some, nil): true
    case (nil, .some): false
    default: left < right
    }
  }

  /// 12 of `audit.log.12.gz`.
  private static func age(_ path: String) -> Int? {
    let parts = path.split(separator: ".")
    return parts.count > 2 ? Int(parts[parts.count - 2]) : nil
  }

  private static func inOrder(_ files: [(path: String, file: InputFile)]) -> [String] {
    guard let ends = try? files.map({ try AuditFileEnds($0.file) }) else { return files.map(\.path) }
    return AuditFileEnds.order(ends).map { files[$0].path }
  }

  private func quoted(_ paths: [String]) -> String {
    paths.map { path in
      let isPlain = path.utf8.allSatisfy { byte in
        Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber || "/._-".utf8.contains(byte)
      }
      return isPlain ? path : "'\(path.replacing("'", with: "'\\''"))'"
    }.joined(separator: " ")
  }
}
