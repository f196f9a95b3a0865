import HTTP1

/// How a request path names its instance, and the path that Core gets.
package struct Addressing: Sendable {
  /// How the request named its instance, without the name itself.
  package enum Form: Sendable {
    case inQuery, inPath
    /// `/<core path>?instance_id=<id>`: Blnk Cloud's Filters API, and SDKs that add the pair to any base URL.
    case inQueryOfCorePath
    /// `/<core path>`, with a `Host` that belongs to one instance.
    case byHost
    /// `/<core path>`, from a client or token with a default instance.
    case byDefault
  }

  enum Instance {
    /// `/proxy/<core path>?instance_id=<id>`, the documented form.
    case inQuery
    /// `/instances/<id>/<core path>`: for callers that append paths to a base URL.
    case inPath(Range<Int>)
    /// `/<core path>`: the query, the host or a default names the instance.
    case byDefault
  }

  let instance: Instance
  /// The path that Core gets: starts with a slash, or is empty if nothing follows the prefix.
  let corePath: Range<Int>

  private static var proxy: UInt64 { UInt64(packing: "/", "p", "r", "o", "x", "y", "/") }
  private static let instances = ShortText("/instances/")

  init(_ bytes: Span<UInt8>, path: Range<Int>) {
    if bytes.packed(path) & .mask(bytes: 7) == Self.proxy {
      instance = .inQuery
      corePath = path.lowerBound + 6..<path.upperBound
    } else if bytes.begins(with: Self.instances, in: path) {
      let start = path.lowerBound + 11
      var end = start
      while end < path.upperBound, bytes[end] != UInt8(ascii: "/") { end += 1 }
      instance = .inPath(start..<end)
      corePath = end..<path.upperBound
    } else {
      instance = .byDefault
      corePath = path
    }
  }

  /// Whether `X-Blnk-Key` next to `Authorization` is a second credential, which is an error; under `/proxy` it is
  /// dropped.
  var coreKeyConflictsWithAuthorization: Bool {
    switch instance {
    case .inQuery: false
    case .inPath, .byDefault: true
    }
  }
}
