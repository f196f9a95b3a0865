import Bytes

/// Why a body is rejected. The start of the next message is then unknown, so the connection must close.
@usableFromInline
package enum BodyFault: Error, Equatable, Sendable {
  /// More bytes than `BodyReader.bytesMax`, received or announced.
  case tooLarge
  case malformed(ChunkFault)
}

/// Extracts the bytes of a body from received bytes, in any framing (RFC 9112 §6.3), and limits their number.
///
/// The path of messages without chunks is inlined: calls would double its cost.
@usableFromInline
package struct BodyReader: Sendable {
  @usableFromInline
  enum Phase: Sendable {
    case length(remaining: Int)
    case chunks(ChunkedDecoder)
    case untilClose
    case complete
  }

  /// Body bytes read so far, without framing.
  @usableFromInline package private(set) var byteCount: Int
  /// The limit on body bytes; a larger body is rejected as soon as its length or a chunk size announces it.
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

  /// Whether the whole body has been read.
  @inlinable @inline(__always)
  package var isComplete: Bool {
    if case .complete = phase { true } else { false }
  }

  /// Whether the body is chunked and not complete.
  @inlinable @inline(__always)
  package var readsChunks: Bool {
    if case .chunks = phase { true } else { false }
  }

  /// The bytes still missing of a body with a Content-Length; nil for other framings.
  @inlinable @inline(__always)
  package var remaining: Int? {
    if case .length(let remaining) = phase { remaining } else { nil }
  }

  /// Returns the next run of body bytes and advances `offset` past it and the framing around it.
  ///
  /// - Returns: nil if `bytes` holds no more body bytes; `isComplete` says whether more are expected. Do not call it again
  ///   after a fault.
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

  /// Appends the body bytes in `bytes` from `offset` on to `body`; true once the body is complete.
  package mutating func read(
    _ bytes: Span<UInt8>, _ offset: inout Int, into body: inout [UInt8]
  ) throws(BodyFault) -> Bool {
    while let run = try next(bytes, &offset) {
      body.append(copying: bytes.extracting(run))
    }
    return isComplete
  }

  /// Handles the end of the connection; true if that completes the body, false if it truncates it.
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
    let event = try Self.event(&decoder, bytes, &offset)
    phase = .chunks(decoder)
    if case .data(let run) = event { byteCount += run.count }
    guard decoder.chunkBytesLeft <= bytesMax - byteCount else { throw .tooLarge }
    switch event {
    case .data(let run): return run
    case .needsMore: return nil
    case .end:
      phase = .complete
      return nil
    }
  }

  private static func event(
    _ decoder: inout ChunkedDecoder, _ bytes: Span<UInt8>, _ offset: inout Int
  ) throws(BodyFault) -> ChunkedDecoder.Event {
    do throws(ChunkFault) {
      return try decoder.next(bytes, &offset)
    } catch {
      throw .malformed(error)
    }
  }
}
