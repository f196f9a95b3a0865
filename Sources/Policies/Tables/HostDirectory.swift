import HTTP1

/// Finds the instance of a request's host: a hash table with open addressing in flat arrays, at most half full.
package struct HostDirectory: Sendable {
  private struct Entry {
    /// Its range in `texts`.
    let text: Range<Int>
    let instance: Int32
  }

  /// All host names in lower case, one after the other; IPv6 addresses without brackets.
  private let texts: [UInt8]
  private let entries: [Entry]
  /// An index in `entries` plus 1; 0: an empty slot. An empty array if there are no hosts.
  private let slots: [UInt32]

  /// - Parameter hosts: the hosts of each instance, in the order of the instances, without duplicates.
  init(_ hosts: [[HostName]]) {
    var texts: [UInt8] = []
    var entries: [Entry] = []
    for (instance, names) in hosts.enumerated() {
      for name in names {
        let start = texts.count
        texts += name.text.utf8
        entries.append(Entry(text: start..<texts.count, instance: Int32(instance)))
      }
    }
    var slots = [UInt32](repeating: 0, count: entries.isEmpty ? 0 : Self.slotCount(for: entries.count))
    for (index, entry) in entries.enumerated() {
      var slot = Self.hash(texts.span, entry.text) & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(index + 1)
    }
    self.texts = texts
    self.entries = entries
    self.slots = slots
  }

  /// Whether no instance has a host, so that requests' hosts do not matter.
  @inline(__always)
  package var isEmpty: Bool { slots.isEmpty }

  /// The index in `Policy.instances` of the instance of a request's host; nil: none.
  @inline(never)
  func instance(of head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Int32? {
    for index in head.fields.indices {
      if case .host = head.fields[index].kind { return instance(ofAuthority: head.fields[index].value, bytes) }
    }
    // HTTP/1.0 may omit Host and still name the authority in an absolute-form target.
    guard head.path.lowerBound > head.target.lowerBound,
      let colon = bytes.first(UInt8(ascii: ":"), in: head.target)
    else { return nil }
    return instance(ofAuthority: min(colon + 3, head.path.lowerBound)..<head.path.lowerBound, bytes)
  }

  /// Ignores port, case and the trailing dot of an absolute name.
  private func instance(ofAuthority authority: Range<Int>, _ bytes: Span<UInt8>) -> Int32? {
    guard !authority.isEmpty else { return nil }
    if bytes[authority.lowerBound] == UInt8(ascii: "[") { return instance(ofIPv6: authority, bytes) }
    var end = bytes.first(UInt8(ascii: ":"), in: authority) ?? authority.upperBound
    if end > authority.lowerBound, bytes[end - 1] == UInt8(ascii: ".") { end -= 1 }
    return instance(named: authority.lowerBound..<end, bytes)
  }

  /// Looks up the canonical form, because an address has several spellings.
  private func instance(ofIPv6 authority: Range<Int>, _ bytes: Span<UInt8>) -> Int32? {
    let end = bytes.first(UInt8(ascii: "]"), in: authority) ?? authority.upperBound
    guard let address = IPAddress(bytes, authority.lowerBound + 1..<end) else { return nil }
    var canonical: [UInt8] = []
    address.write(to: &canonical)
    return instance(named: 0..<canonical.count, canonical.span)
  }

  private func instance(named name: Range<Int>, _ bytes: Span<UInt8>) -> Int32? {
    var slot = Self.hash(bytes, name) & (slots.count - 1)
    while slots[slot] != 0 {
      let entry = entries[Int(slots[slot]) - 1]
      if isText(entry.text, bytes, name) { return entry.instance }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private func isText(_ text: Range<Int>, _ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
    guard text.count == name.count else { return false }
    for index in 0..<text.count
    where texts[text.lowerBound + index] != lowerCased(bytes[name.lowerBound + index]) { return false }
    return true
  }

  /// FNV-1a of the lowercase name. No random seed: only the operator's hosts are inserted, so callers cannot make
  /// searches longer.
  private static func hash(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for index in name { hash = (hash ^ UInt64(lowerCased(bytes[index]))) &* 0x0000_0100_0000_01b3 }
    return Int(truncatingIfNeeded: hash ^ hash >> 32)
  }

  /// A power of two, at least twice the entries.
  private static func slotCount(for entryCount: Int) -> Int {
    var count = 8
    while count < 2 * entryCount { count *= 2 }
    return count
  }
}

/// ASCII letters only.
private func lowerCased(_ byte: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}
