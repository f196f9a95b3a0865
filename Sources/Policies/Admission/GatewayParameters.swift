import Digests
import HTTP1

/// One constant for both names, because each access to a global constant is a call.
private let names = (instanceID: ShortText("instance_id"), accessToken: ShortText("access_token"))

/// The query parameters that are for the gateway itself, found in one pass over the pairs.
struct GatewayParameters {
  enum Instance {
    case none
    /// The pair, which has a non-empty value.
    case one(Range<Int>)
    /// Repeated, empty, or with a percent-encoded key.
    case malformed
  }

  /// Whether there is an `access_token`, percent-encoded or not.
  private(set) var hasToken = false
  /// The `instance_id`.
  private(set) var instance = Instance.none

  init(_ query: Range<Int>?, _ bytes: Span<UInt8>) {
    guard let query else { return }
    var parameters = QueryParameters(query)
    while let pair = parameters.next(bytes) {
      // The first byte rules out most pairs: a match starts with that of one of the two names, or with an escape.
      switch pair.isEmpty ? 0 : bytes[pair.lowerBound] {
      case UInt8(ascii: "i"), UInt8(ascii: "a"), UInt8(ascii: "%"): read(pair, bytes)
      default: break
      }
    }
  }

  // Inlining makes the loop above keep `instance` in registers, which costs 200 instructions per request.
  @inline(never)
  @_optimize(speed)
  private mutating func read(_ pair: Range<Int>, _ bytes: Span<UInt8>) {
    switch QueryParameters.match(bytes, keyOf: pair, names.instanceID) {
    case .literal: readInstance(pair)
    case .percentEncoded: instance = .malformed
    case .different:
      if QueryParameters.match(bytes, keyOf: pair, names.accessToken) != .different { hasToken = true }
    }
  }

  private mutating func readInstance(_ pair: Range<Int>) {
    if case .none = instance, !Self.value(ofInstance: pair).isEmpty {
      instance = .one(pair)
    } else {
      instance = .malformed
    }
  }

  /// The value in an `instance_id=…` pair.
  static func value(ofInstance pair: Range<Int>) -> Range<Int> {
    min(pair.lowerBound + 12, pair.upperBound)..<pair.upperBound
  }

  /// The pair that names the instance; nil: none.
  @inline(__always)
  func instancePair() throws(Rejection) -> Range<Int>? {
    switch instance {
    case .none: return nil
    case .one(let pair): return pair
    case .malformed: throw .instanceMalformed
    }
  }
}

/// A decoded name: capacity for the longest id and one more byte, so that a longer name equals no id.
struct DecodedName {
  static let byteCountMax = InstanceID.byteCountMax + 1

  var bytes = InlineArray<65, UInt8>(repeating: 0)
  var count = 0

  fileprivate mutating func append(_ byte: UInt8) {
    guard count < Self.byteCountMax else { return }
    bytes[count] = byte
    count += 1
  }
}

/// Decodes a value's percent escapes once; truncates a value that is longer than any id.
func decodedName(_ value: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) -> DecodedName {
  var name = DecodedName()
  var index = value.lowerBound
  while index < value.upperBound {
    guard bytes[index] == UInt8(ascii: "%") else {
      name.append(bytes[index])
      index += 1
      continue
    }
    guard value.upperBound - index >= 3, let high = hexValue(bytes[index + 1]), let low = hexValue(bytes[index + 2])
    else { throw .instanceMalformed }
    name.append(high << 4 | low)
    index += 3
  }
  return name
}
