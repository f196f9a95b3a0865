package import System

/// The first and the last entry of an audit file, from which files are put in order.
package struct AuditFileEnds {
  package let first: AuditEntry?
  package let last: AuditHead?
  private let time: String

  /// - Parameter file: a regular file; its offset is changed.
  package init(_ file: InputFile) throws(Errno) {
    let size = file.byteCount ?? 0
    try file.seek(to: max(0, size - AuditTail.bytesMax))
    last = AuditTail(try file.read(min(size, AuditTail.bytesMax))).head
    try file.seek(to: 0)
    var lines = LogLines(file)
    var found: (AuditEntry, String)?
    while found == nil, lines.offset <= AuditTail.bytesMax, try lines.next() {
      found = lines.withLine { line in
        AuditEntry(line).map { entry in (entry, text(line, entry.time)) }
      }
    }
    first = found?.0
    time = found?.1 ?? ""
  }

  /// The indices of the files in the order in which they were written: each after the file whose last entry it follows,
  /// otherwise by time.
  package static func order(_ files: [AuditFileEnds]) -> [Int] {
    let successors = files.indices.map { index in
      files.indices.first { other in other != index && files[other].follows(files[index]) }
    }
    let withPredecessor = Set(successors.compactMap(\.self))
    var order: [Int] = []
    var seen = Set<Int>()
    for root in files.indices.filter({ !withPredecessor.contains($0) }).sorted(by: { files[$0].time < files[$1].time })
      + Array(files.indices)
    {
      var next: Int? = root
      while let index = next, seen.insert(index).inserted {
        order.append(index)
        next = successors[index]
      }
    }
    return order
  }

  private func follows(_ other: AuditFileEnds) -> Bool {
    guard let previous = first?.previous, let last = other.last else { return false }
    return previous == last
  }
}

private func text(_ line: Span<UInt8>, _ range: Range<Int>) -> String {
  var bytes: [UInt8] = []
  for index in range { bytes.append(line[index]) }
  return String(decoding: bytes, as: UTF8.self)
}
