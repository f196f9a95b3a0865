/// A loop's free list of buffers of one size.
///
/// Bound: it keeps at most `keptMax` unused ones; the others are freed.
package final class BufferPool {
  package let capacity: Int
  private let keptMax: Int
  private var unused: [ByteBuffer] = []

  package init(capacity: Int, keptMax: Int) {
    self.capacity = capacity
    self.keptMax = keptMax
    unused.reserveCapacity(keptMax)
  }

  package func take() -> ByteBuffer { unused.popLast() ?? ByteBuffer(capacity: capacity) }

  /// Takes a buffer back; one that has grown is freed, so that one large message does not cost memory for ever.
  package func give(back buffer: ByteBuffer) {
    guard buffer.capacity == capacity, unused.count < keptMax else { return }
    buffer.removeAll()
    unused.append(buffer)
  }
}
