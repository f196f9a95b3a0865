/// A time in whole seconds since 1970-01-01T00:00:00Z.
package struct UnixSeconds: Hashable, Comparable, Sendable {
  package let rawValue: Int64

  package init(_ rawValue: Int64) {
    self.rawValue = rawValue
  }

  package static func < (left: UnixSeconds, right: UnixSeconds) -> Bool {
    left.rawValue < right.rawValue
  }
}
