/// A loop's free rooms for buffers, of two sizes.
///
/// Bound: it keeps at most so many unused ones of each; the others are freed.
@safe package final class BufferPool {
  /// Bytes of an ordinary room.
  package let capacity: Int
  private var ordinary: FreeRooms
  private var large: FreeRooms

  package init(capacity: Int, keptMax: Int, largeCapacity: Int, largeKeptMax: Int) {
    self.capacity = capacity
    ordinary = FreeRooms(capacity: capacity, keptMax: keptMax)
    large = FreeRooms(capacity: largeCapacity, keptMax: largeKeptMax)
  }

  @inline(__always)
  func take() -> UnsafeMutablePointer<UInt8> { unsafe ordinary.take() }

  func takeLarge() -> (room: UnsafeMutablePointer<UInt8>, capacity: Int) { unsafe (large.take(), large.capacity) }

  /// Takes a room back; one that has grown is freed, so that one large message does not cost memory for ever.
  func give(back room: UnsafeMutablePointer<UInt8>, capacity: Int) {
    let isKept = unsafe ordinary.keep(room, capacity: capacity) || large.keep(room, capacity: capacity)
    if !isKept { unsafe room.deallocate() }
  }

  /// Rooms that lie unused.
  package var unusedCount: Int { ordinary.count + large.count }
}

/// Unused rooms of one size, each with the place of the next one in its first bytes: a list that is no array costs 40
/// instructions less for each room that is taken and given back.
@safe private struct FreeRooms: ~Copyable {
  let capacity: Int
  private let keptMax: Int
  private(set) var count = 0
  private var first: UnsafeMutablePointer<UInt8>?

  init(capacity: Int, keptMax: Int) {
    precondition(capacity >= MemoryLayout<UInt>.size)
    self.capacity = capacity
    self.keptMax = keptMax
  }

  deinit {
    var room = unsafe first
    while let unused = unsafe room {
      unsafe room = Self.next(unused)
      unsafe unused.deallocate()
    }
  }

  @inline(__always)
  mutating func take() -> UnsafeMutablePointer<UInt8> {
    guard let room = unsafe first else { return .allocate(capacity: capacity) }
    unsafe first = Self.next(room)
    count &-= 1
    return unsafe room
  }

  /// Keeps a room of this size as long as there are not too many.
  @inline(__always)
  mutating func keep(_ room: UnsafeMutablePointer<UInt8>, capacity: Int) -> Bool {
    guard capacity == self.capacity, count < keptMax else { return false }
    unsafe UnsafeMutableRawPointer(room).storeBytes(of: first, as: UnsafeMutablePointer<UInt8>?.self)
    unsafe first = room
    count &+= 1
    return true
  }

  private static func next(_ room: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8>? {
    unsafe UnsafeRawPointer(room).loadUnaligned(as: UnsafeMutablePointer<UInt8>?.self)
  }
}
