/// A loop's free rooms for buffers, of two sizes.
///
/// Bound: it keeps at most so many unused ones of each; the others are freed.
@safe package final class BufferPool {
  /// Bytes of an ordinary room.
  package let capacity: Int
  private let largeCapacity: Int
  private let keptMax: Int
  private let largeKeptMax: Int
  private var unused: [UnsafeMutablePointer<UInt8>] = unsafe []
  private var unusedLarge: [UnsafeMutablePointer<UInt8>] = unsafe []

  package init(capacity: Int, keptMax: Int, largeCapacity: Int, largeKeptMax: Int) {
    self.capacity = capacity
    self.keptMax = keptMax
    self.largeCapacity = largeCapacity
    self.largeKeptMax = largeKeptMax
    unsafe unused.reserveCapacity(keptMax)
  }

  deinit {
    unsafe (unused + unusedLarge).forEach { unsafe $0.deallocate() }
  }

  func take() -> UnsafeMutablePointer<UInt8> { unsafe unused.popLast() ?? .allocate(capacity: capacity) }

  func takeLarge() -> (room: UnsafeMutablePointer<UInt8>, capacity: Int) {
    unsafe (unusedLarge.popLast() ?? .allocate(capacity: largeCapacity), largeCapacity)
  }

  /// Takes a room back; one that has grown is freed, so that one large message does not cost memory for ever.
  func give(back room: UnsafeMutablePointer<UInt8>, capacity: Int) {
    if capacity == self.capacity, unsafe unused.count < keptMax {
      unsafe unused.append(room)
    } else if capacity == largeCapacity, unsafe unusedLarge.count < largeKeptMax {
      unsafe unusedLarge.append(room)
    } else {
      unsafe room.deallocate()
    }
  }

  /// Rooms that lie unused.
  package var unusedCount: Int { unsafe unused.count + unusedLarge.count }
}
