import Bytes
import HTTP1
import Policies

/// Keeps Core's redirects inside the gateway: a `Location` that names Core comes out in the form of the request.
final class Location: Sendable {
  /// What stands in front of a core path: `/proxy`, `/instances/<id>`, or nothing.
  let prefix: [UInt8]
  /// The id that the query must name; empty where the path says it.
  let instanceID: [UInt8]
  /// Core's own host and port, and the path that its URL has.
  let authority: [UInt8]
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
    authority = Array(instance.url.authority.utf8)
    corePrefix = Array(instance.url.pathPrefix.utf8)
  }

  /// Writes a value as the client may follow it; one that leads elsewhere stays as it is.
  func write(_ bytes: Span<UInt8>, _ value: Range<Int>, to output: ByteBuffer) {
    guard let path = corePath(bytes, value) else { return output.append(bytes, value) }
    let end = first(of: [UInt8(ascii: "?"), UInt8(ascii: "#")], bytes, path)
    let fragment = first(of: [UInt8(ascii: "#")], bytes, path)
    output.append(prefix)
    output.append(bytes, path.lowerBound..<end)
    output.append(bytes, end..<fragment)
    if !instanceID.isEmpty {
      output.append(end < fragment ? "&instance_id=" : "?instance_id=")
      output.append(instanceID)
    }
    output.append(bytes, fragment..<path.upperBound)
  }

  /// What of the value is a path of this Core, behind its own prefix; nil where it is none.
  private func corePath(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Range<Int>? {
    guard let path = path(bytes, value), path.lowerBound < path.upperBound, bytes[path.lowerBound] == UInt8(ascii: "/")
    else { return nil }
    guard begins(bytes, path, with: corePrefix) else { return path }
    let rest = path.lowerBound + corePrefix.count..<path.upperBound
    guard !rest.isEmpty, bytes[rest.lowerBound] == UInt8(ascii: "/") else { return nil }
    return rest
  }

  /// The path and what follows it, of a reference to this Core.
  private func path(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Range<Int>? {
    for scheme in ["http://", "https://"] {
      guard begins(bytes, value, with: Array(scheme.utf8)) else { continue }
      let rest = value.lowerBound + scheme.utf8.count..<value.upperBound
      guard begins(bytes, rest, with: authority) else { return nil }
      return rest.lowerBound + authority.count..<rest.upperBound
    }
    // `//host/path` leads to another host.
    return begins(bytes, value, with: Array("//".utf8)) ? nil : value
  }

  private func begins(_ bytes: Span<UInt8>, _ range: Range<Int>, with prefix: [UInt8]) -> Bool {
    guard range.count >= prefix.count else { return false }
    return prefix.indices.allSatisfy { bytes[range.lowerBound + $0] == prefix[$0] }
  }

  private func first(of marks: [UInt8], _ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
    range.first { marks.contains(bytes[$0]) } ?? range.upperBound
  }
}
