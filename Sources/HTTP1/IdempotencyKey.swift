/// The key by which a client marks a write and its retries as one: the value of `Idempotency-Key`
/// (draft-ietf-httpapi-idempotency-key-header-07 §2.1).
///
/// The draft's form is a string in double quotes (RFC 8941 §3.3.3). Many clients send the key bare: that is the same key.
package struct IdempotencyKey: Hashable, Sendable {
  package static let byteCountMax = 255

  /// 1 to 255 printable ASCII characters, without quotes around them and without escapes.
  package let text: String

  /// Parses a field's value, without whitespace around it.
  package init(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(IdempotencyKeyFault) {
    guard let first = value.first else { throw .empty }
    let key =
      bytes[first] == .quote
      ? try unquoted(bytes, first + 1..<value.upperBound) : try bare(bytes, value)
    guard !key.isEmpty else { throw .empty }
    guard key.count <= Self.byteCountMax else { throw .tooLong }
    text = String(decoding: key, as: UTF8.self)
  }
}

/// Why a request has no valid key.
package enum IdempotencyKeyFault: Error, Equatable, Sendable, CaseIterable {
  /// There is more than one field.
  case repeated
  /// `Idempotency_Key` or `Idempotency.Key`, which other servers take for another field: a proxy that distributes
  /// requests by their keys would not find it.
  case nameMisspelled
  case empty
  case tooLong
  /// A control byte, or one outside ASCII.
  case notPrintable
  /// A bare key with a space or a backslash, or with a quote that is not at its start.
  case needsQuotes
  case quoteUnclosed
  /// A backslash before anything but a quote or another backslash.
  case escapeUnknown
  /// RFC 8941 §3.1 and §3.1.2: more than one key, or a key with parameters.
  case list, parameters
  /// Something else after the closing quote.
  case textAfterQuote

  /// What is wrong, as the end of a sentence; needs no escaping in JSON.
  package var text: String {
    switch self {
    case .repeated: "it is sent more than once"
    case .nameMisspelled: "its name has another separator than the hyphen"
    case .empty: "it is empty"
    case .tooLong: "it has more than \(IdempotencyKey.byteCountMax) characters"
    case .notPrintable: "it has a byte that is not printable ASCII"
    case .needsQuotes: "a key with spaces, quotes or backslashes needs quotes around it"
    case .quoteUnclosed: "its closing quote is missing"
    case .escapeUnknown: "a backslash is before something other than a quote or a backslash"
    case .list: "it is a list"
    case .parameters: "it has parameters"
    case .textAfterQuote: "text follows its closing quote"
    }
  }
}

extension RequestHead {
  /// The request's idempotency key; nil: it has none.
  package func idempotencyKey(_ bytes: Span<UInt8>) throws(IdempotencyKeyFault) -> IdempotencyKey? {
    guard has(.idempotencyKey) else { return nil }
    var found: Range<Int>?
    for index in fields.indices where fields[index].kind == .idempotencyKey {
      guard found == nil else { throw .repeated }
      guard bytes.has(anyCaseOf: "idempotency-key", at: fields[index].name) else { throw .nameMisspelled }
      found = fields[index].value
    }
    guard let found else { return nil }
    return try IdempotencyKey(bytes, found)
  }
}

/// The rest of a string after its first quote (RFC 8941 §4.2.5), which must be all of the value.
private func unquoted(_ bytes: Span<UInt8>, _ rest: Range<Int>) throws(IdempotencyKeyFault) -> [UInt8] {
  var key: [UInt8] = []
  key.reserveCapacity(rest.count)
  var index = rest.lowerBound
  while index < rest.upperBound {
    let byte = bytes[index]
    index += 1
    switch byte {
    case .quote:
      try checkEnd(bytes, index..<rest.upperBound)
      return key
    case .backslash:
      guard index < rest.upperBound else { throw .quoteUnclosed }
      guard bytes[index] == .quote || bytes[index] == .backslash else { throw .escapeUnknown }
      key.append(bytes[index])
      index += 1
    default:
      guard byte.isVisible || byte == .space else { throw .notPrintable }
      key.append(byte)
    }
  }
  throw .quoteUnclosed
}

/// Checks that nothing follows a string, and says what it is otherwise.
private func checkEnd(_ bytes: Span<UInt8>, _ rest: Range<Int>) throws(IdempotencyKeyFault) {
  guard let next = rest.first(where: { bytes[$0] != .space }) else { return }
  switch bytes[next] {
  case .comma: throw .list
  case .semicolon: throw .parameters
  default: throw .textAfterQuote
  }
}

private func bare(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(IdempotencyKeyFault) -> [UInt8] {
  var key: [UInt8] = []
  key.reserveCapacity(value.count)
  for index in value {
    switch bytes[index] {
    case .comma: throw .list
    case .semicolon: throw .parameters
    case .space, .quote, .backslash: throw .needsQuotes
    case let byte:
      guard byte.isVisible else { throw .notPrintable }
      key.append(byte)
    }
  }
  return key
}
