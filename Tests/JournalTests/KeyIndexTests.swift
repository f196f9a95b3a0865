import Digests
import TestValues
import Testing

@testable import Journal

@Suite struct KeyIndexTests {
  private func digest(_ number: Int) -> Digest {
    SHA256.digest(of: Array("\(number)".utf8).span)
  }

  @Test(arguments: [1, UInt64.random(in: .min ... .max)])
  func `agrees with a dictionary after any operations`(seed: UInt64) {
    var generator = SeededGenerator(state: seed)
    var index = KeyIndex()
    var model: [Int: KeyIndex.Entry] = [:]
    for step in 0..<60_000 {
      // Grows, then shrinks, so that removals meet full shards.
      let number = Int.random(in: 0..<6_000, using: &generator)
      let name = index.name(of: digest(number))
      if Int.random(in: 0..<100, using: &generator) < (step < 30_000 ? 75 : 40) {
        let entry = KeyIndex.Entry(
          state: KeyIndex.State.allCases.randomElement(using: &generator) ?? .unknown,
          location: KeyLocation(segment: UInt32(step), offset: UInt32.random(in: 0...UInt32.max, using: &generator)),
          scope: Int.random(in: 0..<KeyIndex.scopesMax, using: &generator))
        index.set(name, entry)
        model[number] = entry
      } else {
        #expect(index.remove(name) == model.removeValue(forKey: number), "seed \(seed)")
      }
      #expect(index.count == model.count, "seed \(seed)")
    }
    for number in 0..<6_000 {
      #expect(index[index.name(of: digest(number))] == model[number], "seed \(seed)")
    }
    for state in KeyIndex.State.allCases {
      #expect(index.count(state) == model.values.filter { $0.state == state }.count)
    }
    var seen = 0
    for shard in 0..<KeyIndex.shardCount { index.forEach(inShard: shard) { _, _ in seen += 1 } }
    #expect(seen == model.count)
  }

  @Test func `takes at most 40 bytes per key from 100,000 keys on`() {
    var index = KeyIndex()
    let entry = KeyIndex.Entry(state: .stored, location: KeyLocation(segment: 1, offset: 2), scope: 3)
    var largest = 0.0
    for number in 1...150_000 {
      let number = UInt64(number)
      // The words of a real digest are as random; computing that many takes long in a debug build.
      var generator = SeededGenerator(state: number)
      let digest = Digest(words: (generator.next(), generator.next(), generator.next(), generator.next()))
      index.set(index.name(of: digest), entry)
      if number >= 100_000, number.isMultiple(of: 1_000) {
        largest = max(largest, Double(index.slotBytes) / Double(number))
      }
    }
    #expect(index.count == 150_000)
    #expect(largest <= 40, "\(largest) bytes")
    print("index: at most \(largest) bytes per key between 100,000 and 150,000 keys")
  }

  @Test func `two indexes give a key different names`() {
    let key = digest(1)
    #expect(KeyIndex().name(of: key) != KeyIndex().name(of: key))
  }

  @Test func `names depend on every bit of the digest`() {
    let index = KeyIndex()
    let name = index.name(of: digest(1))
    var names: Set<KeyIndex.Name> = [name]
    for bit in 0..<256 {
      var words = [digest(1).words.0, digest(1).words.1, digest(1).words.2, digest(1).words.3]
      words[bit / 64] ^= 1 << UInt64(bit % 64)
      names.insert(index.name(of: Digest(words: (words[0], words[1], words[2], words[3]))))
    }
    #expect(names.count == 257)
  }
}
