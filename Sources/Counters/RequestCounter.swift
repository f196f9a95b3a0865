/// How many exchanges of one kind have ended, by the class of their status; written by one thread.
public final class RequestCounter: Sendable {
  /// The classes, as labels show them; `none`: the client got no answer.
  package static let classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]

  @usableFromInline let counts = InlineArray<6, Counter> { _ in Counter() }

  package init() {}

  /// - Parameter status: 100 to 599; any other number is no answer.
  @inlinable @inline(__always)
  public func count(status: Int) {
    let place = status / 100
    counts[place > 5 || place < 0 ? 0 : place].add()
  }

  /// In the order of `classes`.
  package var reading: [Int] { counts.indices.map { counts[$0].now } }
}
