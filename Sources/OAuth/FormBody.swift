import Digests

/// Why a body is not a form.
package enum FormFault: Error, Equatable, Sendable {
  /// A percent sign without two hexadecimal digits, or a value that is not UTF-8 or has a control character.
  case malformed
  /// RFC 6749 §3.2: parameters must not be included more than once.
  case repeated(String)
  case tooManyParameters
}

/// The parameters of an `application/x-www-form-urlencoded` body (RFC 6749 appendix B), each once.
///
/// A parameter with an empty value counts as absent (RFC 6749 §3.2). Its values may be secret.
package struct FormBody: Sendable {
  package static let bytesMax = 8192
  package static let parametersMax = 32

  private var values: [String: String] = [:]

  /// - Parameter bytes: at most `bytesMax`.
  package init(_ bytes: Span<UInt8>) throws(FormFault) {
    precondition(bytes.count <= Self.bytesMax)
    var (start, count) = (0, 0)
    while start < bytes.count {
      var end = start
      while end < bytes.count, bytes[end] != UInt8(ascii: "&") { end += 1 }
      if end > start {
        count += 1
        guard count <= Self.parametersMax else { throw .tooManyParameters }
        try insert(bytes.extracting(start..<end))
      }
      start = end + 1
    }
  }

  private mutating func insert(_ pair: Span<UInt8>) throws(FormFault) {
    var equals = 0
    while equals < pair.count, pair[equals] != UInt8(ascii: "=") { equals += 1 }
    let value = equals < pair.count ? pair.extracting(droppingFirst: equals + 1) : Span()
    guard let name = formDecoded(pair.extracting(first: equals)), let text = formDecoded(value) else {
      throw .malformed
    }
    // Also for a repetition of an empty value: two readers could pick different ones.
    guard values.updateValue(text, forKey: name) == nil else { throw .repeated(name) }
  }

  /// The value of a parameter; nil: it is absent or empty.
  package subscript(name: String) -> String? {
    guard let value = values[name], !value.isEmpty else { return nil }
    return value
  }
}

/// The text that form-encoded bytes mean; nil: an escape is malformed, the text is not UTF-8, or it has a control
/// character, which no parameter of OAuth may have (RFC 6749 appendix A).
func formDecoded(_ bytes: Span<UInt8>) -> String? {
  var text: [UInt8] = []
  text.reserveCapacity(bytes.count)
  var index = 0
  while index < bytes.count {
    var byte = bytes[index]
    index += 1
    if byte == UInt8(ascii: "+") {
      byte = UInt8(ascii: " ")
    } else if byte == UInt8(ascii: "%") {
      guard index + 2 <= bytes.count, let high = hexValue(bytes[index]), let low = hexValue(bytes[index + 1]) else {
        return nil
      }
      byte = high << 4 | low
      index += 2
    }
    guard byte >= 0x20, byte != 0x7f else { return nil }
    text.append(byte)
  }
  return String(validating: text, as: UTF8.self)
}
