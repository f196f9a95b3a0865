/// A loop's free rooms for buffers, of two sizes.
///
/// Bound: it keeps at most so many unused ones of each; the others are freed.
@safe package final class BufferPool {
  private var ordinary: FreeRooms
  private var large: FreeRooms

  package init(capacity: Int, keptMax: Int, largeCapacity: Int, largeKeptMax: Int) {
    ordinary = FreeRooms(capacity: capacity, keptMax: keptMax)
    large = FreeRooms(capacity: largeCapacity, keptMax: largeKeptMax)
  }

  deinit {
    ordinary.freeAll()
    large.freeAll()
  }

  /// Bytes of an ordinary room.
  package var capacity: Int { ordinary.capacity }

  func take() -> UnsafeMutablePointer<UInt8> { unsafe ordinary.take() }

  func takeLarge() -> (room: UnsafeMutablePointer<UInt8>, capacity: Int) { unsafe (large.take(), large.capacity) }

  /// Takes a room back; one that has grown is freed, so that one large message does not cost memory for ever.
  func give(back room: UnsafeMutablePointer<UInt8>, capacity: Int) {
    if capacity == ordinary.capacity {
      unsafe ordinary.give(back: room)
    } else if capacity == large.capacity {
      unsafe large.give(back: room)
    } else {
      unsafe room.deallocate()
    }
  }

  /// Rooms that lie unused.
  package var unusedCount: Int { ordinary.count + large.count }
}

/// Unused rooms of one size, each of which holds the address of the next in its first bytes: to take one and to give it
/// back is a few instructions, where an array takes 40.
@safe private struct FreeRooms {
  let capacity: Int
  private let keptMax: Int
  private(set) var count = 0
  private var first: UnsafeMutablePointer<UInt8>?

  init(capacity: Int, keptMax: Int) {
    precondition(capacity >= MemoryLayout<UInt>.size)
    self.capacity = capacity
    self.keptMax = keptMax
    unsafe first = nil
  }

  mutating func take() -> UnsafeMutablePointer<UInt8> {
    guard let room = unsafe first else { return .allocate(capacity: capacity) }
    unsafe first = UnsafeRawPointer(room).loadUnaligned(as: UnsafeMutablePointer<UInt8>?.self)
    count &-= 1
    return unsafe room
  }

  mutating func give(back room: UnsafeMutablePointer<UInt8>) {
    guard count < keptMax else { return unsafe room.deallocate() }
    unsafe UnsafeMutableRawPointer(room).storeBytes(of: first, as: UnsafeMutablePointer<UInt8>?.self)
    unsafe first = room
    count &+= 1
  }

  mutating func freeAll() {
    while let room = unsafe first {
      unsafe first = UnsafeRawPointer(room).loadUnaligned(as: UnsafeMutablePointer<UInt8>?.self)
      unsafe room.deallocate()
    }
    count = 0
  }
}
