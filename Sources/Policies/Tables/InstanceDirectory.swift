import HTTP1

/// Finds an instance by the bytes of its id: open addressing over flat arrays, at most half full.
package struct InstanceDirectory: Sendable {
  /// All ids, one after the other.
  private let bytes: [UInt8]
  private let ranges: [Range<Int>]
  /// An index of `ranges` plus 1; 0: empty.
  private let slots: [UInt32]

  /// The ids must be different from one another.
  init(_ ids: [InstanceID]) {
    var bytes: [UInt8] = []
    var ranges: [Range<Int>] = []
    var slots = [UInt32](repeating: 0, count: slotCount(for: ids.count))
    for id in ids {
      ranges.append(bytes.count..<bytes.count + id.bytes.count)
      bytes += id.bytes
      var slot = hash(id.bytes.span, 0..<id.bytes.count) & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(ranges.count)
    }
    self.bytes = bytes
    self.ranges = ranges
    self.slots = slots
  }

  /// The place in `Policy.instances` of the instance whose id is the bytes at `range`, whatever they are.
  package func index(of name: Span<UInt8>, _ range: Range<Int>) -> Int32? {
    guard range.count <= InstanceID.byteCountMax else { return nil }
    var slot = hash(name, range) & (slots.count - 1)
    while slots[slot] != 0 {
      let index = Int(slots[slot]) - 1
      if isName(name, range, at: ranges[index]) { return Int32(truncatingIfNeeded: index) }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private func isName(_ name: Span<UInt8>, _ range: Range<Int>, at stored: Range<Int>) -> Bool {
    guard stored.count == range.count else { return false }
    let bytes = bytes.span
    for offset in stride(from: 0, to: range.count, by: 8) {
      let word = bytes.packed(stored.lowerBound + offset..<stored.upperBound)
      guard word == name.packed(range.lowerBound + offset..<range.upperBound) else { return false }
    }
    return true
  }
}

/// Eight bytes at a time, by the halves of a product: each bit of them all depends on every byte.
private func hash(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for start in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
    let product = (hash ^ bytes.packed(start..<range.upperBound)).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
    hash = product.high ^ product.low
  }
  return Int(truncatingIfNeeded: hash)
}

/// A power of two, at least twice the entries.
private func slotCount(for entryCount: Int) -> Int {
  var count = 8
  while count < 2 * entryCount { count *= 2 }
  return count
}
