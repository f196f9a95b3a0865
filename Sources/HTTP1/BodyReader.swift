/// Why a body is refused: where the next message begins is unknown, so the connection closes.
@usableFromInline
package enum BodyFault: Error, Equatable, Sendable {
  /// More bytes than `BodyReader.bytesMax`, come or announced.
  case tooLarge
  case malformed(ChunkFault)
}

/// Finds the bytes of a body among those that have come, in each of the framings (RFC 9112 §6.3), and bounds them.
///
/// What is inlined is what each message without chunks takes: calls would double it.
@usableFromInline
package struct BodyReader: Sendable {
  @usableFromInline
  enum Phase: Sendable {
    case length(remaining: Int)
    case chunks(ChunkedDecoder)
    case untilClose
    case complete
  }

  /// Body bytes so far, framing not counted.
  @usableFromInline package private(set) var byteCount: Int
  /// A body beyond it is refused, as soon as its length or a chunk's size announces it.
  @usableFromInline package var bytesMax: Int
  @usableFromInline var phase: Phase

  @inlinable @inline(__always)
  package init(_ framing: BodyFraming, bytesMax: Int = .max) {
    byteCount = 0
    self.bytesMax = bytesMax
    switch framing {
    case .none: phase = .complete
    case .length(let count): phase = .length(remaining: count)
    case .chunked: phase = Self.beginningOfChunks
    case .untilClose: phase = .untilClose
    }
  }

  @usableFromInline static var beginningOfChunks: Phase { .chunks(ChunkedDecoder()) }

  /// Whether the whole body was read.
  @inlinable @inline(__always)
  package var isComplete: Bool {
    if case .complete = phase { true } else { false }
  }

  /// Whether the body comes in chunks, and is not complete.
  @inlinable @inline(__always)
  package var readsChunks: Bool {
    if case .chunks = phase { true } else { false }
  }

  /// Bytes still to come of a body whose length its head announces.
  @inlinable @inline(__always)
  package var remaining: Int? {
    if case .length(let remaining) = phase { remaining } else { nil }
  }

  /// The next run of body bytes, and advances `offset` behind it and the framing around it.
  ///
  /// - Returns: nil where `bytes` holds no more of the body: `isComplete` tells whether more is to come. After a fault
  ///   there is no more to read.
  @inlinable @inline(__always)
  package mutating func next(_ bytes: Span<UInt8>, _ offset: inout Int) throws(BodyFault) -> Range<Int>? {
    switch phase {
    case .complete: return nil
    case .length(let remaining):
      guard remaining <= bytesMax &- byteCount else { throw .tooLarge }
      let run = take(offset + min(remaining, bytes.count - offset), &offset)
      phase = run.count == remaining ? .complete : .length(remaining: remaining - run.count)
      return run.isEmpty ? nil : run
    case .untilClose:
      let run = take(bytes.count, &offset)
      guard byteCount <= bytesMax else { throw .tooLarge }
      return run.isEmpty ? nil : run
    case .chunks(let decoder): return try nextOfChunks(decoder, bytes, &offset)
    }
  }

  /// Appends all that `bytes` holds of the body from `offset` on to `body`; true once the body is complete.
  package mutating func read(
    _ bytes: Span<UInt8>, _ offset: inout Int, into body: inout [UInt8]
  ) throws(BodyFault) -> Bool {
    while let run = try next(bytes, &offset) {
      for index in run { body.append(bytes[index]) }
    }
    return isComplete
  }

  /// The connection has ended; true where that completes the body, false where it cuts it.
  package mutating func inputEnded() -> Bool {
    if case .untilClose = phase { phase = .complete }
    return isComplete
  }

  @inlinable @inline(__always)
  mutating func take(_ end: Int, _ offset: inout Int) -> Range<Int> {
    let run = offset..<end
    offset = end
    byteCount += run.count
    return run
  }

  @usableFromInline
  mutating func nextOfChunks(
    _ decoder: ChunkedDecoder, _ bytes: Span<UInt8>, _ offset: inout Int
  ) throws(BodyFault) -> Range<Int>? {
    var decoder = decoder
    let step = try Self.step(&decoder, bytes, &offset)
    phase = .chunks(decoder)
    if case .data(let run) = step { byteCount += run.count }
    guard decoder.chunkBytesLeft <= bytesMax - byteCount else { throw .tooLarge }
    switch step {
    case .data(let run): return run
    case .needsMore: return nil
    case .end:
      phase = .complete
      return nil
    }
  }

  private static func step(
    _ decoder: inout ChunkedDecoder, _ bytes: Span<UInt8>, _ offset: inout Int
  ) throws(BodyFault) -> ChunkedDecoder.Step {
    do throws(ChunkFault) {
      return try decoder.next(bytes, &offset)
    } catch {
      throw .malformed(error)
    }
  }
}
