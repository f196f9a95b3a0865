/// Counts ended exchanges of one kind by status class; written by one thread.
public final class RequestCounter: Sendable {
  /// The classes as label values; `none` means that no response was sent.
  package static let classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]

  @usableFromInline let counts = InlineArray<6, Counter> { _ in Counter() }

  package init() {}

  /// - Parameter status: 100 to 599; any other number counts as `none`.
  @inlinable @inline(__always)
  public func count(status: Int) {
    let index = status / 100
    counts[index > 5 || index < 0 ? 0 : index].add()
  }

  /// In the order of `classes`.
  package var reading: [Int] { counts.indices.map { counts[$0].current } }
}
