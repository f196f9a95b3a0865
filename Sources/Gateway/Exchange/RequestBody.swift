import Bytes
import HTTP1

/// Relays the body of a request to Core, with the framing that it arrived with.
struct RequestBody {
  /// Hashes the body for the audit log; nil if the request is not audited.
  var hasher: BodyHasher?
  private var reader = BodyReader(.none)
  private var writer = BodyWriter(.none)

  /// Starts a new body with this framing.
  mutating func begin(_ framing: BodyFraming) {
    reader = BodyReader(framing)
    writer = BodyWriter(framing)
  }

  var isComplete: Bool { reader.isComplete }

  /// Body bytes so far, without framing.
  var byteCount: Int { reader.byteCount }

  /// A larger body is rejected.
  var bytesMax: Int {
    get { reader.bytesMax }
    set { reader.bytesMax = newValue }
  }

  /// Whether it must be complete before anything is sent.
  var mustBeComplete: Bool { hasher?.streams == false }

  /// Moves the part of the body in `bytes`, from `offset` on, into the free capacity of `output`.
  ///
  /// Leaves `BodyWriter.framingBytesMax` bytes free until the body is complete.
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

  /// Appends the part of the body in `bytes`, from `offset` on, to `output`, which grows.
  mutating func collect(_ bytes: Span<UInt8>, _ offset: inout Int, to output: ByteBuffer) throws(Fault) {
    while let run = try next(bytes, &offset) {
      output.reserve(run.count)
      output.append(bytes.extracting(run))
    }
  }

  /// Skips the part of the body in `bytes`, from `offset` on: for a request that was rejected.
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
