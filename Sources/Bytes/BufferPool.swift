/// A loop's free blocks of buffer memory, in two sizes.
///
/// Bounds: at most `keptMax` free ordinary blocks and `largeKeptMax` free large ones are kept; others are deallocated.
@safe package final class BufferPool {
  /// The size of an ordinary block in bytes.
  package let capacity: Int
  private var ordinary: FreeBlocks
  private var large: FreeBlocks

  package init(capacity: Int, keptMax: Int, largeCapacity: Int, largeKeptMax: Int) {
    self.capacity = capacity
    ordinary = FreeBlocks(capacity: capacity, keptMax: keptMax)
    large = FreeBlocks(capacity: largeCapacity, keptMax: largeKeptMax)
  }

  @inline(__always)
  func take() -> UnsafeMutablePointer<UInt8> { unsafe ordinary.take() }

  func takeLarge() -> (block: UnsafeMutablePointer<UInt8>, capacity: Int) { unsafe (large.take(), large.capacity) }

  /// Returns a block to the pool. A block of any other size is deallocated, so that one large message does not take memory
  /// for good.
  func put(_ block: UnsafeMutablePointer<UInt8>, capacity: Int) {
    let isKept = unsafe ordinary.keep(block, capacity: capacity) || large.keep(block, capacity: capacity)
    if !isKept { unsafe block.deallocate() }
  }

  /// Deallocates the free blocks.
  package func removeUnused() {
    ordinary.removeAll()
    large.removeAll()
  }

  /// The number of free blocks.
  package var unusedCount: Int { ordinary.count + large.count }
}

/// Free blocks of one size in a linked list whose links are the blocks' first bytes. Compared with an array, this saves 40
/// instructions per block taken and returned.
@safe private struct FreeBlocks: ~Copyable {
  let capacity: Int
  private let keptMax: Int
  private(set) var count = 0
  private var first: UnsafeMutablePointer<UInt8>?

  init(capacity: Int, keptMax: Int) {
    precondition(capacity >= MemoryLayout<UInt>.size)
    self.capacity = capacity
    self.keptMax = keptMax
  }

  deinit { deallocate() }

  private func deallocate() {
    var block = unsafe first
    while let unused = unsafe block {
      unsafe block = Self.next(unused)
      unsafe unused.deallocate()
    }
  }

  mutating func removeAll() {
    deallocate()
    unsafe first = nil
    count = 0
  }

  @inline(__always)
  mutating func take() -> UnsafeMutablePointer<UInt8> {
    guard let block = unsafe first else { return .allocate(capacity: capacity) }
    unsafe first = Self.next(block)
    count &-= 1
    return unsafe block
  }

  /// Keeps a block of this size unless `keptMax` are kept already; returns whether it is kept.
  @inline(__always)
  mutating func keep(_ block: UnsafeMutablePointer<UInt8>, capacity: Int) -> Bool {
    guard capacity == self.capacity, count < keptMax else { return false }
    unsafe UnsafeMutableRawPointer(block).storeBytes(of: first, as: UnsafeMutablePointer<UInt8>?.self)
    unsafe first = block
    count &+= 1
    return true
  }

  private static func next(_ block: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8>? {
    unsafe UnsafeRawPointer(block).loadUnaligned(as: UnsafeMutablePointer<UInt8>?.self)
  }
}
