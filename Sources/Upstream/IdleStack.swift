/// The idle connections of a pool, the last used on top: it is the warmest, and the others can expire. Each step takes
/// O(1) on average.
struct IdleStack: ~Copyable {
  /// nil: the connection was closed. The top is never nil.
  private var places: [UpstreamConnection?] = []
  /// How many places are nil.
  private var holes = 0
  /// All places below are nil.
  private var bottom = 0

  @inline(__always)
  var isEmpty: Bool { places.isEmpty }
  var last: UpstreamConnection? { places.last ?? nil }

  @inline(__always)
  mutating func push(_ connection: UpstreamConnection) {
    connection.idlePlace = Int32(truncatingIfNeeded: places.count)
    places.append(connection)
  }

  @inline(__always)
  mutating func pop() -> UpstreamConnection? {
    guard let top = places.popLast() else { return nil }
    if holes > 0 { trim() }
    return top
  }

  /// Removes a connection that is in the stack.
  mutating func remove(_ connection: UpstreamConnection) {
    places[Int(connection.idlePlace)] = nil
    holes += 1
    trim()
    if holes > places.count / 2 + 16 { compact() }
  }

  /// The connection that has been idle longest.
  mutating func longest() -> UpstreamConnection? {
    while bottom < places.count {
      if let connection = places[bottom] { return connection }
      bottom += 1
    }
    return nil
  }

  @inline(never)
  private mutating func trim() {
    while case .some(.none) = places.last {
      places.removeLast()
      holes -= 1
    }
    bottom = min(bottom, places.count)
  }

  private mutating func compact() {
    places.removeAll { $0 == nil }
    for (index, connection) in places.enumerated() { connection?.idlePlace = Int32(index) }
    (holes, bottom) = (0, 0)
  }
}
