package import HTTP1

/// The methods that a path supports.
package struct MethodSet: OptionSet, Sendable {
  package let rawValue: UInt16

  package init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  package init(_ method: Method) {
    rawValue = 1 << UInt16(method.rawValue)
  }

  /// The value of an `Allow` field (RFC 9110 §10.2.1), such as `GET, HEAD, POST`.
  package var allow: String {
    let methods = Method.allCases.filter { method in contains(MethodSet(method)) }
    return methods.map { method in method.text.description }.joined(separator: ", ")
  }
}
