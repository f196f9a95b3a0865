import Digests

/// A record read from its segment, with its names as text.
struct StoredRecord {
  let record: JournalRecord
  let write: KeyedWrite
  let fields: [UInt8]
  /// Of a response whose body is in its record.
  let inlineBody: [UInt8]

  /// Nil if these bytes do not start with an intact record of a key, or its names could not be recorded again.
  init?(_ bytes: Span<UInt8>) {
    guard bytes.count >= JournalFrame.byteCount, let count = JournalFrame.length(bytes), count <= bytes.count else {
      return nil
    }
    let bytes = bytes.extracting(..<count)
    guard JournalFrame.isIntact(bytes), let record = JournalRecord(bytes) else { return nil }
    self.record = record
    write = KeyedWrite(
      client: bytes.text(record.client), instance: bytes.text(record.instance), key: bytes.text(record.key),
      fingerprint: record.fingerprint, requestIDHigh: record.requestIDHigh, requestIDLow: record.requestIDLow)
    // Bytes that are not UTF-8 take up to three times as many as text.
    guard write.isStorable else { return nil }
    fields = bytes.array(record.fields)
    inlineBody = bytes.array(record.inlineBody)
  }
}
