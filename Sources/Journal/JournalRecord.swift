import Bytes
import Digests

/// A record of one key, or of one instance whose keys are forgotten. Every record has all that is needed without the
/// records before it, because those may be in segments that were removed.
struct JournalRecord {
  enum Kind: UInt8 {
    /// The request may be sent.
    case claim = 2
    case response
    case responseNotKept
    /// The key is free again: Core has not executed the request.
    case released
    /// The key was forgotten by an operator.
    case forgotten
    /// All keys of the instance were forgotten, except those in the records that follow.
    case instanceForgotten
    /// A claim without an outcome, copied from a segment that is being removed.
    case carried
  }

  /// What is before the names, with the frame.
  static let fixedBytes = 114
  private static let bodyReferenceBytes = 16

  var kind: Kind
  /// Of a response: whether it is what Core's record shows, because Core's own response was lost.
  var isReconstructed = false
  var status = 0
  /// When the key was claimed or the outcome recorded.
  var wallMicroseconds: Int64
  /// The same by CLOCK_BOOTTIME of the segment's boot.
  var bootMicroseconds: Int64
  var digest: Digest
  var fingerprint: Digest
  var requestIDHigh: UInt64
  var requestIDLow: UInt64
  /// Positions in the record.
  var client = 0..<0
  var instance = 0..<0
  var key = 0..<0
  var fields = 0..<0
  /// Empty if the body is in the bodies file.
  var inlineBody = 0..<0
  var body = BodyReference()

  /// Where a body is.
  struct BodyReference: Equatable {
    /// In the bodies file, or `inlineOffset`.
    var offset = 0
    var byteCount = 0
    /// CRC-32C of a body in the bodies file.
    var checksum: UInt32 = 0

    /// The body is at the end of the record.
    static let inlineOffset = Int.max
    /// Longer bodies are in the bodies file, so that a start need not read them. Shorter ones save a response the wait
    /// for a second file.
    static let inlineBytesMax = 1_024

    var isInline: Bool { offset == Self.inlineOffset }

    /// Whether a body is stored in its record. One with zeros could look like a part of the file that was not written.
    static func isInline(_ body: Span<UInt8>) -> Bool {
      body.count <= inlineBytesMax && !body.contains(0)
    }
  }
}

extension JournalRecord {
  /// Reads a whole record whose checksum is right; nil if it is malformed.
  @inline(__always)
  init?(_ bytes: Span<UInt8>) {
    guard bytes.count >= Self.fixedBytes, let kind = Kind(rawValue: bytes[8]),
      bytes[9] == 0 || bytes[9] == 1 && kind == .response
    else { return nil }
    self.kind = kind
    isReconstructed = bytes[9] == 1
    status = Int(bytes.littleEndian(UInt16.self, at: 10))
    wallMicroseconds = bytes.signed(at: 12)
    bootMicroseconds = bytes.signed(at: 20)
    digest = bytes.digest(at: 28)
    fingerprint = bytes.digest(at: 60)
    requestIDHigh = bytes.littleEndian(UInt64.self, at: 92)
    requestIDLow = bytes.littleEndian(UInt64.self, at: 100)
    client = Self.fixedBytes..<Self.fixedBytes + Int(bytes.littleEndian(UInt16.self, at: 108))
    instance = client.upperBound..<client.upperBound + Int(bytes.littleEndian(UInt16.self, at: 110))
    key = instance.upperBound..<instance.upperBound + Int(bytes.littleEndian(UInt16.self, at: 112))
    guard kind == .response else {
      guard bytes.count == key.upperBound else { return nil }
      return
    }
    let fieldsStart = key.upperBound + Self.bodyReferenceBytes
    guard bytes.count >= fieldsStart,
      let offset = Int(exactly: bytes.littleEndian(UInt64.self, at: key.upperBound))
    else { return nil }
    body.offset = offset
    body.byteCount = Int(bytes.littleEndian(UInt32.self, at: key.upperBound + 8))
    body.checksum = bytes.littleEndian(UInt32.self, at: key.upperBound + 12)
    let fieldsEnd = bytes.count - (body.isInline ? body.byteCount : 0)
    guard fieldsEnd >= fieldsStart else { return nil }
    fields = fieldsStart..<fieldsEnd
    inlineBody = fieldsEnd..<bytes.count
  }
}

/// A record to be written.
struct JournalEntry {
  var kind: JournalRecord.Kind
  var isReconstructed = false
  var status = 0
  var wallMicroseconds: Int64
  var bootMicroseconds: Int64
  var digest: Digest
  var write: KeyedWrite
  /// Of a response.
  var fields: [UInt8] = []

  /// - Parameters:
  ///   - body: of a response: where its body is.
  ///   - inlineBody: empty if it is not in the record.
  @_optimize(speed)
  func append(_ body: JournalRecord.BodyReference, _ inlineBody: [UInt8], to out: inout [UInt8]) {
    let (client, instance, key) = (write.client.utf8Span.span, write.instance.utf8Span.span, write.key.utf8Span.span)
    let start = JournalFrame.begin(&out)
    let flags: UInt64 = isReconstructed ? 1 : 0
    out.append(words: [UInt64(kind.rawValue) | flags << 8 | UInt64(UInt16(status)) << 16], byteCount: 4)
    let (digest, fingerprint) = (digest.wordsInByteOrder, write.fingerprint.wordsInByteOrder)
    // Traps if a count has more than 16 bits, as further down.
    let nameCounts =
      UInt64(UInt16(client.count)) | UInt64(UInt16(instance.count)) << 16 | UInt64(UInt16(key.count)) << 32
    out.append(
      words: [
        UInt64(bitPattern: wallMicroseconds), UInt64(bitPattern: bootMicroseconds), digest.0, digest.1, digest.2,
        digest.3, fingerprint.0, fingerprint.1, fingerprint.2, fingerprint.3, write.requestIDHigh, write.requestIDLow,
        nameCounts,
      ],
      byteCount: 12 * 8 + 3 * 2)
    out.append(copying: client)
    out.append(copying: instance)
    out.append(copying: key)
    if kind == .response {
      out.append(words: [UInt64(body.offset), UInt64(UInt32(body.byteCount)) | UInt64(body.checksum) << 32])
      out.append(copying: fields.span)
      out.append(copying: inlineBody.span)
    }
    JournalFrame.end(from: start, &out)
  }
}

extension KeyedWrite {
  /// The longest name that is stored.
  static let nameBytesMax = 4_096

  /// Whether the names fit into a record.
  var isStorable: Bool { [client, instance, key].allSatisfy { $0.utf8.count <= Self.nameBytesMax } }
}
