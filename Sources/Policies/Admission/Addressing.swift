import HTTP1

/// How a path says which Core it is for, and what that Core gets of it.
package struct Addressing: Sendable {
  /// The three ways, without what they name.
  package enum Form: Sendable {
    case inQuery, inPath, byDefault
  }

  enum Instance {
    /// `/proxy/<core path>?instance_id=<id>`, the documented form.
    case inQuery
    /// `/instances/<id>/<core path>`: for clients that join a base URL and a path.
    case inPath(Range<Int>)
    /// `/<core path>`: the client's default instance.
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

  var form: Form {
    switch instance {
    case .inQuery: .inQuery
    case .inPath: .inPath
    case .byDefault: .byDefault
    }
  }

  /// Whether a client may send its token as Blnk's SDKs send a Core's key, which is all that they can send.
  var takesCoreKey: Bool {
    switch instance {
    case .inQuery: false
    case .inPath, .byDefault: true
    }
  }
}
