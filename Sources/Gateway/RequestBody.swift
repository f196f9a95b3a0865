import Bytes
import HTTP1

/// The body of a request on its way to Core, framed as it came.
struct RequestBody {
  /// Sees what is passed on, where the audit log wants to know of it.
  var hasher: BodyHasher?
  private var reader = BodyReader(.none)
  private var writer = BodyWriter(.none)

  /// Begins anew, with a body that is framed so.
  mutating func begin(_ framing: BodyFraming) {
    reader = BodyReader(framing)
    writer = BodyWriter(framing)
  }

  var isComplete: Bool { reader.isComplete }

  /// Body bytes so far, framing not counted.
  var byteCount: Int { reader.byteCount }

  /// A body beyond it is refused.
  var bytesMax: Int {
    get { reader.bytesMax }
    set { reader.bytesMax = newValue }
  }

  /// Whether it is held back until it is whole.
  var isWantedWhole: Bool { hasher?.streams == false }

  /// Moves what `bytes` holds of the body from `offset` on into the free capacity of `output`.
  ///
  /// `BodyWriter.framingBytesMax` bytes of that stay free until the body is complete.
  mutating func relay(_ bytes: Span<UInt8>, _ offset: inout Int, to output: ByteBuffer) throws(Fault) {
    while !isComplete {
      let capacity = output.freeCapacity - BodyWriter.framingBytesMax
      guard capacity > 0 else { return }
      let end = min(bytes.count, offset + capacity)
      if let run = try next(bytes.extracting(0..<end), &offset) {
        writer.append(bytes, run, to: output)
        hasher?.update(bytes.extracting(run))
      } else if end == bytes.count, !isComplete {
        return
      }
      if isComplete { writer.end(output) }
    }
  }

  /// Reads over what `bytes` holds of the body from `offset` on: for a request that was refused.
  mutating func skip(_ bytes: Span<UInt8>, _ offset: inout Int) throws(Fault) {
    while try next(bytes, &offset) != nil {}
  }

  private mutating func next(_ bytes: Span<UInt8>, _ offset: inout Int) throws(Fault) -> Range<Int>? {
    do throws(BodyFault) {
      return try reader.next(bytes, &offset)
    } catch {
      switch error {
      case .tooLarge: throw .bodyTooLarge
      case .malformed(let fault): throw .bodyMalformed(fault)
      }
    }
  }
}
