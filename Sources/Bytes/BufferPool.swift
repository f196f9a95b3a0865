/// A loop's unused blocks of memory for buffers, of two sizes.
///
/// Bound: at most `keptMax` unused blocks of each size are kept; others are freed.
@safe package final class BufferPool {
  /// Bytes of an ordinary block.
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

  /// Takes a block back; one that has grown is freed, so that one large message does not cost memory for ever.
  func give(back block: UnsafeMutablePointer<UInt8>, capacity: Int) {
    let isKept = unsafe ordinary.keep(block, capacity: capacity) || large.keep(block, capacity: capacity)
    if !isKept { unsafe block.deallocate() }
  }

  /// Blocks that are kept and not used.
  package var unusedCount: Int { ordinary.count + large.count }
}

/// Unused blocks of one size, each with the address of the next one in its first bytes: compared with an array, this
/// list saves 40 instructions for each block that is taken and given back.
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

  deinit {
    var block = unsafe first
    while let unused = unsafe block {
      unsafe block = Self.next(unused)
      unsafe unused.deallocate()
    }
  }

  @inline(__always)
  mutating func take() -> UnsafeMutablePointer<UInt8> {
    guard let block = unsafe first else { return .allocate(capacity: capacity) }
    unsafe first = Self.next(block)
    count &-= 1
    return unsafe block
  }

  /// Keeps a block of this size unless enough are kept already.
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
