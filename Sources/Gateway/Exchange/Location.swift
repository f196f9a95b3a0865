import Bytes
import HTTP1
import Policies

/// Rewrites a `Location` that points to Core, so that the redirect leads through the gateway, in the form of the
/// request.
final class Location: Sendable {
  /// What precedes a core path: `/proxy`, `/instances/<id>`, or nothing.
  let prefix: [UInt8]
  /// The value of `instance_id` in the query; empty if the path names the instance.
  let instanceID: [UInt8]
  /// Core's host (IPv6 in brackets), its value of `Host`, and its port.
  let host: [UInt8]
  let authority: [UInt8]
  let port: Int
  /// The default port of Core's scheme.
  let defaultPort: Int
  /// The path prefix of Core's URL.
  let corePrefix: [UInt8]

  init(_ addressing: Addressing.Form, _ instance: Instance) {
    switch addressing {
    case .inQuery:
      prefix = Array("/proxy".utf8)
      instanceID = instance.id.bytes
    case .inPath:
      prefix = Array("/instances/".utf8) + instance.id.bytes
      instanceID = []
    case .inQueryOfCorePath:
      prefix = []
      instanceID = instance.id.bytes
    case .byHost, .byDefault:
      prefix = []
      instanceID = []
    }
    host = Array((instance.url.host.contains(":") ? "[\(instance.url.host)]" : instance.url.host).utf8)
    authority = Array(instance.url.authority.utf8)
    port = Int(instance.url.port)
    defaultPort = instance.url.isTLS ? 443 : 80
    corePrefix = Array(instance.url.pathPrefix.utf8)
  }

  /// Writes a `Location` value; one that does not point to this Core stays as it is.
  func write(_ bytes: Span<UInt8>, _ value: Range<Int>, to output: ByteBuffer) {
    guard let rest = coreReference(bytes, value) else { return output.append(bytes, value) }
    let end = first(of: [UInt8(ascii: "?"), UInt8(ascii: "#")], bytes, rest)
    let fragment = first(of: [UInt8(ascii: "#")], bytes, rest)
    output.append(prefix)
    if end == rest.lowerBound { output.append("/") }  // RFC 9110 §4.2.3: an empty path is "/".
    output.append(bytes, rest.lowerBound..<end)
    var separator: StaticString = "?"
    writeQuery(bytes, min(end + 1, fragment)..<fragment, &separator, to: output)
    if !instanceID.isEmpty {
      output.append(separator)
      output.append("instance_id=")
      output.append(instanceID)
    }
    output.append(bytes, fragment..<rest.upperBound)
  }

  /// Writes Core's query without the pairs that the gateway would read as `instance_id`.
  ///
  /// - Parameter separator: the separator before the next pair.
  private func writeQuery(
    _ bytes: Span<UInt8>, _ query: Range<Int>, _ separator: inout StaticString, to output: ByteBuffer
  ) {
    let name = ShortText("instance_id")
    var pairs = QueryParameters(query)
    while let pair = pairs.next(bytes) {
      guard QueryParameters.match(bytes, keyOf: pair, name) == .different else { continue }
      output.append(separator)
      output.append(bytes, pair)
      separator = "&"
    }
  }

  /// The part of the value after this Core's authority and path prefix; nil if it does not point to this Core.
  private func coreReference(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Range<Int>? {
    guard let rest = afterAuthority(bytes, value) else { return nil }
    guard !corePrefix.isEmpty, begins(bytes, rest, with: corePrefix) else { return rest }
    let afterPrefix = rest.lowerBound + corePrefix.count..<rest.upperBound
    return isEndOfSegment(bytes, afterPrefix) ? afterPrefix : nil
  }

  /// The part after scheme and authority: a path, a query, a fragment, or nothing. A value without an authority must be
  /// a path.
  private func afterAuthority(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Range<Int>? {
    var (rest, defaultPort) = (value, defaultPort)
    for (scheme, ownPort) in [("http:", 80), ("https:", 443)]
    where begins(bytes, value, withAnyCaseOf: Array(scheme.utf8)) {
      (rest, defaultPort) = (value.lowerBound + scheme.utf8.count..<value.upperBound, ownPort)
    }
    guard begins(bytes, rest, with: Array("//".utf8)) else {
      let isPath = rest == value && !value.isEmpty && bytes[value.lowerBound] == UInt8(ascii: "/")
      return isPath ? value : nil
    }
    rest = rest.lowerBound + 2..<rest.upperBound
    let end = first(of: [UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#")], bytes, rest)
    guard isCore(bytes, rest.lowerBound..<end, defaultPort: defaultPort) else { return nil }
    return end..<rest.upperBound
  }

  /// Whether an authority is Core's: equal to its `Host`, whatever the scheme, or its host with its port.
  private func isCore(_ bytes: Span<UInt8>, _ named: Range<Int>, defaultPort: Int) -> Bool {
    if named.count == authority.count, begins(bytes, named, withAnyCaseOf: authority) { return true }
    guard begins(bytes, named, withAnyCaseOf: host) else { return false }
    let suffix = named.lowerBound + host.count..<named.upperBound
    if suffix.count <= 1 {
      return port == defaultPort && suffix.allSatisfy { bytes[$0] == UInt8(ascii: ":") }
    }
    let digits = suffix.dropFirst()
    guard bytes[suffix.lowerBound] == UInt8(ascii: ":"), digits.count <= 5,
      digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[$0]) })
    else { return false }
    return digits.reduce(0) { 10 * $0 + Int(bytes[$1] - UInt8(ascii: "0")) } == port
  }

  private func isEndOfSegment(_ bytes: Span<UInt8>, _ rest: Range<Int>) -> Bool {
    rest.isEmpty || [UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#")].contains(bytes[rest.lowerBound])
  }

  /// Whether the range begins with `prefix`.
  private func begins(_ bytes: Span<UInt8>, _ range: Range<Int>, with prefix: [UInt8]) -> Bool {
    guard range.count >= prefix.count else { return false }
    return prefix.indices.allSatisfy { bytes[range.lowerBound + $0] == prefix[$0] }
  }

  /// The same without case, for schemes and hosts (RFC 3986 §6.2.2.1). `prefix` is in lower case.
  private func begins(_ bytes: Span<UInt8>, _ range: Range<Int>, withAnyCaseOf prefix: [UInt8]) -> Bool {
    guard range.count >= prefix.count else { return false }
    return prefix.indices.allSatisfy { lowercased(bytes[range.lowerBound + $0]) == prefix[$0] }
  }

  private func lowercased(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
  }

  private func first(of delimiters: [UInt8], _ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
    range.first { delimiters.contains(bytes[$0]) } ?? range.upperBound
  }
}
