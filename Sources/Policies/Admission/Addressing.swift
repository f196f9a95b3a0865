import HTTP1

/// How a path says which Core it is for, and what that Core gets of it.
package struct Addressing: Sendable {
  /// How the instance was named, without what was named.
  package enum Form: Sendable {
    case inQuery, inPath
    /// `/<core path>?instance_id=<id>`: Blnk Cloud's Filters API, and SDKs that add the pair to any base URL.
    case inQueryOfCorePath
    /// `/<core path>` to a host of one instance.
    case byHost
    /// `/<core path>` of a client or token with a default instance.
    case byDefault
  }

  enum Instance {
    /// `/proxy/<core path>?instance_id=<id>`, the documented form.
    case inQuery
    /// `/instances/<id>/<core path>`: for clients that join a base URL and a path.
    case inPath(Range<Int>)
    /// `/<core path>`: the query, the host or a default names it.
    case byDefault
  }

  let instance: Instance
  /// What Core gets: begins with a slash, or is empty where nothing follows the prefix.
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

  /// Whether `X-Blnk-Key` is a credential beside an `Authorization`, so that both at once are one too many; under `/proxy`
  /// it is dropped there.
  var takesCoreKeyBesideAuthorization: Bool {
    switch instance {
    case .inQuery: false
    case .inPath, .byDefault: true
    }
  }
}
