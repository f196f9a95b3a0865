/// The idle connections of a pool, the last used on top: it is the warmest, and the others can expire. Each step takes
/// O(1) on average.
struct IdleStack {
  /// nil: the connection was closed. The top is never nil.
  private var places: [UpstreamConnection?] = []
  /// All places below are nil.
  private var bottom = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }
  var last: UpstreamConnection? { places.last ?? nil }

  mutating func push(_ connection: UpstreamConnection) {
    if places.count > 2 * count + 16 { compact() }
    connection.idlePlace = Int32(places.count)
    places.append(connection)
    count += 1
  }

  @inline(__always)
  mutating func pop() -> UpstreamConnection? {
    guard count > 0, let connection = places.removeLast() else { return nil }
    connection.idlePlace = -1
    count -= 1
    if count + bottom < places.count { trim() }
    return connection
  }

  mutating func remove(_ connection: UpstreamConnection) {
    places[Int(connection.idlePlace)] = nil
    connection.idlePlace = -1
    count -= 1
    trim()
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
    while case .some(.none) = places.last { places.removeLast() }
    bottom = min(bottom, places.count)
  }

  private mutating func compact() {
    places.removeAll { $0 == nil }
    for (index, connection) in places.enumerated() { connection?.idlePlace = Int32(index) }
    bottom = 0
  }
}
