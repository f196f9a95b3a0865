import Bytes
import HTTP1
import Policies

/// Reads the body of a response that the journal keeps, from the bytes that will be relayed later.
struct KeptBody {
  /// nil: it is too large.
  private(set) var body: [UInt8]? = []
  private var reader: BodyReader
  private var offset: Int
  /// Bounds the bytes with their framing: chunks may be tiny.
  private let receivedBytesMax: Int

  /// - Parameter offset: where the body begins.
  init(_ framing: BodyFraming, from offset: Int, bytesMax: Int) {
    reader = BodyReader(framing, bytesMax: bytesMax)
    self.offset = offset
    receivedBytesMax = offset + 4 * bytesMax
  }

  /// - Parameter received: the head, and all that has been received of the body.
  /// - Returns: true once the body is complete or too large.
  mutating func read(_ received: Span<UInt8>) throws(ChunkFault) -> Bool {
    guard var bytes = body.take() else { return true }
    do throws(BodyFault) {
      let isComplete = try reader.read(received, &offset, into: &bytes)
      guard received.count <= receivedBytesMax else { return true }
      body = bytes
      return isComplete
    } catch {
      switch error {
      case .tooLarge: return true
      case .malformed(let fault): throw fault
      }
    }
  }

  /// The upstream connection has ended; true if that completes the body.
  mutating func inputEnded() -> Bool { reader.inputEnded() }
}

/// The fields that a replayed response repeats: those that describe its content, and those that tell browsers how to
/// treat it. Others belong to the moment, or to the connection.
enum KeptFields {
  private static let names = [
    "cache-control", "content-disposition", "content-encoding", "content-language", "content-security-policy", "etag",
    "last-modified", "link", "referrer-policy", "vary", "x-content-type-options", "x-frame-options",
  ]

  @inline(__always)
  private static func includes(_ field: FieldLine, _ bytes: Span<UInt8>) -> Bool {
    switch field.kind {
    case .contentType, .location: true
    case .other: names.contains { bytes.has(anyCaseOf: $0, at: field.name) }
    default: false
    }
  }

  /// A response with longer lines is not kept.
  static let byteCountMax = 8 << 10

  /// Complete field lines, with `Location` as this request gets it.
  @_optimize(speed)
  static func lines(
    of head: borrowing ResponseHead, _ bytes: Span<UInt8>, _ access: InstanceAccess, _ form: Addressing.Form
  ) -> [UInt8] {
    var lines: [UInt8] = []
    lines.reserveCapacity(64)
    for index in head.fields.indices {
      let field = head.fields[index]
      guard !field.isNamedByConnection, includes(field, bytes) else { continue }
      lines.append(copying: bytes.extracting(field.name))
      lines.append(UInt8(ascii: ":"))
      lines.append(UInt8(ascii: " "))
      if case .location = field.kind {
        append(access.location(form), bytes, field.value, to: &lines)
      } else {
        lines.append(copying: bytes.extracting(field.value))
      }
      lines.append(UInt8(ascii: "\r"))
      lines.append(UInt8(ascii: "\n"))
    }
    return lines
  }

  private static func append(
    _ location: Location, _ bytes: Span<UInt8>, _ value: Range<Int>, to lines: inout [UInt8]
  ) {
    let written = ByteBuffer(capacity: 1 << 10)
    location.write(bytes, value, to: written)
    written.move(to: &lines)
  }
}
